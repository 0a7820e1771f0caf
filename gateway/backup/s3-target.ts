import { createHash } from 'node:crypto';

import type { Clock } from '../core/clock.ts';
import { GatewayError } from '../core/gateway-error.ts';
import {
  type BackupTarget,
  type Removal,
  type StoredObject,
  type WrittenObject,
  alreadyThere,
  checkTargetName,
  checkTargetPrefix,
  isTargetName,
  notThere,
  readsBackWrong,
} from './backup-target.ts';
import { type Pause, type S3Client, type S3Place, createS3Client } from './s3-client.ts';
import { type S3Object, listObjects, listUploads } from './s3-listing.ts';
import { cannotLock, hasObjectLock, lockVersion, removeVersions } from './s3-lock.ts';
import { readObject } from './s3-read.ts';
import { NameTaken, type S3Uploaded, giveUp, upload } from './s3-upload.ts';
import {
  type FirstVersion,
  type Versioning,
  askVersioning,
  firstVersion,
  firstVersions,
} from './s3-versions.ts';

/** A bucket as a target. */
export interface S3TargetPlace extends S3Place {
  /** What every key begins with; empty, or with a slash at its end as a folder. */
  readonly prefix: string;
  /** How long nobody can remove what is written; left out, it is not locked. */
  readonly objectLockMs: number | undefined;
}

/** What a bucket needs to be a target. */
export interface S3TargetOptions {
  readonly clock: Clock;
  /** Waits between attempts; the machine's own time unless given. */
  readonly pause?: Pause;
}

/**
 * A bucket of a service that speaks S3, addressed by path. An object appears when its last part is completed, is read
 * back whole, and only then locked: what reads back wrong can still be removed, and a success means that exactly the
 * bytes that were read back are locked.
 *
 * Where the bucket keeps versions, as one with a lock does, of a name the first one counts, whoever reads: whoever holds
 * the credentials can neither hide an archive behind a deletion nor put another one in its place.
 */
export function openS3Target(place: S3TargetPlace, { clock, pause }: S3TargetOptions): BackupTarget {
  const { prefix, objectLockMs } = place;
  // A URL would take such a segment away, and what is signed would be in another place.
  if (/(?:^|\/)\.{0,2}\//.test(prefix))
    throw new GatewayError(
      'backup_failed',
      `the prefix ${JSON.stringify(prefix)} holds an empty segment or dots alone`,
    );
  const client = createS3Client(place, clock, pause);
  const where = prefix === '' ? client.where : `${client.where} under ${prefix}`;
  let versioning: Versioning | undefined = objectLockMs === undefined ? undefined : 'kept';
  let canLock: boolean | undefined;
  /** Ids of first versions by name, from listings: a first version stays the first for as long as it is there. */
  const firsts = new Map<string, string>();

  const isVersioned = async (signal?: AbortSignal): Promise<boolean> => {
    versioning ??= await askVersioning(client, prefix, signal);
    return versioning === 'kept';
  };

  const find = async (name: string, signal?: AbortSignal): Promise<S3Object | undefined> => {
    const look = (await isVersioned(signal)) ? firstVersion : headObject;
    return await look(client, prefix + name, signal);
  };

  async function* read(name: string, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
    const versionId = (await isVersioned(signal))
      ? (firsts.get(name) ?? (await find(name, signal))?.versionId)
      : '';
    if (versionId === undefined) throw notThere(name, where);
    yield* readObject({ client, key: prefix + name, versionId, name, where, signal });
  }

  async function remove(name: string): Promise<Removal> {
    const key = prefix + name;
    firsts.delete(name);
    if (await isVersioned()) return await removeVersions(client, key);
    const permission = 's3:DeleteObject';
    await client.call({ method: 'DELETE', key, what: `remove ${name}`, permission, expects: ['NoSuchKey'] });
    return 'removed';
  }

  /** Reads back and locks; what is wrong is removed, unless it may have been there before. */
  async function prove(name: string, sent: S3Uploaded, signal?: AbortSignal): Promise<WrittenObject> {
    const { bytes, sha256, isDoubtful } = sent;
    const hash = createHash('sha256');
    for await (const chunk of read(name, signal)) hash.update(chunk);
    if (hash.digest('hex') !== sha256) {
      if (isDoubtful) throw alreadyThere(name, where);
      const removal = await remove(name).catch(() => 'locked');
      throw readsBackWrong(name, where, removal === 'locked' ? '; it could not be removed' : '');
    }
    if (objectLockMs !== undefined) {
      const version = await find(name, signal);
      if (version === undefined) throw notThere(name, where);
      await lockVersion(client, version, clock.now() + objectLockMs);
    }
    return { bytes, sha256 };
  }

  return {
    where,
    async warnings() {
      const warnings = await warningsOf(client, place);
      // A service that cannot be asked fails whatever is asked next, which says why.
      await isVersioned().catch(() => undefined);
      return versioning === 'hidden' ? [...warnings, cannotTell(client)] : warnings;
    },
    async put(name, body, options = {}) {
      checkTargetName(name);
      if (objectLockMs !== undefined) canLock ??= await hasObjectLock(client);
      if (canLock === false) {
        // Looked at again next time: the bucket may have been made anew.
        canLock = undefined;
        throw cannotLock(client);
      }
      if ((await find(name, options.signal)) !== undefined) throw alreadyThere(name, where);
      let sent: S3Uploaded;
      try {
        sent = await upload({ client, key: prefix + name, name, body, options });
      } catch (error) {
        throw error instanceof NameTaken ? alreadyThere(name, where) : error;
      }
      return await prove(name, sent, options.signal);
    },
    async *read(name, { signal } = {}) {
      checkTargetName(name);
      yield* read(name, signal);
    },
    async list(begins) {
      checkTargetPrefix(begins);
      const found: StoredObject[] = [];
      const listing: (client: S3Client, prefix: string) => AsyncGenerator<S3Object & Partial<FirstVersion>> =
        (await isVersioned()) ? firstVersions : listObjects;
      for await (const { key, versionId, bytes, modifiedMs, later } of listing(client, prefix + begins)) {
        const name = key.slice(prefix.length);
        const isHere = name.includes('/') === begins.includes('/');
        if (!isHere || !isTargetName(name)) continue;
        if (versionId !== '') firsts.set(name, versionId);
        found.push({ name, bytes, modifiedMs, ...(later === undefined ? {} : { later }) });
      }
      return found.toSorted((one, other) => (one.name < other.name ? -1 : 1));
    },
    async remove(name) {
      checkTargetName(name);
      return await remove(name);
    },
    async sweep(olderThanMs) {
      for await (const { key, uploadId, initiatedMs } of listUploads(client, prefix)) {
        const isOurs = isTargetName(key.slice(prefix.length));
        if (isOurs && clock.now() - initiatedMs > olderThanMs) await giveUp(client, key, uploadId);
      }
    },
  };
}

async function headObject(
  client: S3Client,
  key: string,
  signal?: AbortSignal,
): Promise<S3Object | undefined> {
  const { status, headers } = await client.call({
    method: 'HEAD',
    key,
    what: 'look whether a name is taken',
    permission: 's3:GetObject and s3:ListBucket',
    expects: [404],
    signal,
  });
  if (status === 404) return undefined;
  const modifiedMs = Date.parse(headers['last-modified'] ?? '');
  return {
    key,
    versionId: '',
    isMarker: false,
    tag: '',
    bytes: Number(headers['content-length']),
    modifiedMs,
  };
}

function isLoopback(host: string): boolean {
  return host === '[::1]' || /^127\.|(?:^|\.)localhost$/.test(host);
}

async function warningsOf(client: S3Client, { endpoint, objectLockMs }: S3TargetPlace): Promise<string[]> {
  const { protocol, hostname } = new URL(endpoint);
  const warnings: string[] = [];
  if (protocol === 'http:' && !isLoopback(hostname))
    warnings.push(
      `${client.where} is asked without TLS: names, sizes and times can be seen on the way; use https`,
    );
  if (objectLockMs !== undefined && (await hasObjectLock(client)) === false)
    warnings.push(cannotLock(client).message);
  return warnings;
}

function cannotTell({ where }: S3Client): string {
  return `these credentials may not ask whether ${where} keeps versions (s3:GetBucketVersioning), nor list them (s3:ListBucketVersions): what somebody put over an archive would be taken for it; grant both`;
}
