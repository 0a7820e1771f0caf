import type { LaterVersions } from './backup-target.ts';
import type { S3Client } from './s3-client.ts';
import { type S3Object, listVersions } from './s3-listing.ts';
import { parseXml, textOf } from './s3-xml.ts';

/** The version of a key that was there first. */
export interface FirstVersion extends S3Object {
  /** What came over it; `undefined` when nothing did. */
  readonly later: LaterVersions | undefined;
}

/**
 * Whether a bucket keeps versions; `hidden` when these credentials may neither ask for that nor list any, so that what
 * was put over a name cannot be told from what was there first.
 */
export type Versioning = 'kept' | 'none' | 'hidden';

/** What services answer that do not know versions. Any other refusal is a failure, and nobody's leave to look away. */
const UNKNOWN = ['NotImplemented', 'MethodNotAllowed', 'UnsupportedOperation', 'InvalidRequest', 405, 501];

/**
 * Asks whether a bucket keeps versions.
 *
 * @param prefix what is listed where the bucket itself may not be asked. @throws GatewayError `backup_failed`.
 */
export async function askVersioning(
  client: S3Client,
  prefix: string,
  signal?: AbortSignal,
): Promise<Versioning> {
  const what = 'look whether versions are kept';
  const { status, code, text } = await client.call({
    method: 'GET',
    query: { versioning: '' },
    what,
    permission: 's3:GetBucketVersioning',
    expects: ['AccessDenied', ...UNKNOWN],
    signal,
  });
  if (status <= 299) return textOf(parseXml(text), 'Status') === '' ? 'none' : 'kept';
  if (code !== 'AccessDenied') return 'none';
  const listing = await client.call({
    method: 'GET',
    query: { versions: '', prefix, 'max-keys': '1' },
    what,
    permission: 's3:ListBucketVersions',
    expects: ['AccessDenied', ...UNKNOWN],
    signal,
  });
  // A service that does not know the question may answer with names alone.
  const isListed = listing.status <= 299 && parseXml(listing.text).name === 'ListVersionsResult';
  return isListed ? 'kept' : 'hidden';
}

/**
 * Of every key the version that was there first. Names are never given twice, so that what came later is somebody
 * else's: a thief's who holds the credentials writes over an archive or deletes it, and hides nothing with it. The same
 * bytes once more are an upload whose answer got lost, and are not told.
 */
export async function* firstVersions(
  client: S3Client,
  prefix: string,
  signal?: AbortSignal,
): AsyncGenerator<FirstVersion> {
  let group: VersionGroup | undefined;
  for await (const version of listVersions(client, prefix, signal)) {
    if (group?.key !== version.key) {
      if (group?.first !== undefined) yield firstOf(group.first, group);
      group = { key: version.key, first: undefined, written: 0, deleted: 0, markers: 0 };
    }
    addOlder(group, version);
  }
  if (group?.first !== undefined) yield firstOf(group.first, group);
}

/** The version of a key that was there first; `undefined` when none is. @throws GatewayError `backup_failed`. */
export async function firstVersion(
  client: S3Client,
  key: string,
  signal?: AbortSignal,
): Promise<FirstVersion | undefined> {
  // A key sorts before all that begin with it.
  for await (const version of firstVersions(client, key, signal))
    return version.key === key ? version : undefined;
  return undefined;
}

/** Versions of one key, from the newest on. */
interface VersionGroup {
  readonly key: string;
  first: S3Object | undefined;
  written: number;
  deleted: number;
  /** Markers of deletions since the last version: they count when something older was deleted by them. */
  markers: number;
}

function addOlder(group: VersionGroup, version: S3Object): void {
  if (version.isMarker) {
    group.markers += 1;
    return;
  }
  const { first: newer } = group;
  if (newer !== undefined && !(newer.tag === version.tag && newer.bytes === version.bytes))
    group.written += 1;
  group.deleted += group.markers;
  group.markers = 0;
  group.first = version;
}

function firstOf(first: S3Object, { written, deleted }: VersionGroup): FirstVersion {
  return { ...first, later: written + deleted === 0 ? undefined : { written, deleted } };
}
