import { createHash } from 'node:crypto';

import { GatewayError } from '../core/gateway-error.ts';
import type { Removal } from './backup-target.ts';
import type { S3Client } from './s3-client.ts';
import { type S3Object, listVersions } from './s3-listing.ts';

/** Whether the bucket can lock objects; `undefined` when these credentials may not ask. */
export async function hasObjectLock(client: S3Client): Promise<boolean | undefined> {
  const { status, text } = await client.call({
    method: 'GET',
    query: { 'object-lock': '' },
    what: 'read the object lock',
    permission: 's3:GetBucketObjectLockConfiguration',
    expects: [400, 403, 404, 'ObjectLockConfigurationNotFoundError'],
  });
  if (text.includes('<Code>NoSuchBucket</Code>')) return undefined;
  if (status === 403) return undefined;
  return status === 200 && /<ObjectLockEnabled>Enabled</.test(text);
}

/** The failure of a bucket that cannot lock, although it should. */
export function cannotLock({ where }: S3Client): GatewayError {
  return new GatewayError(
    'backup_failed',
    `${where} has no object lock, which backup.to.s3.object_lock asks for: make a bucket with it (it cannot be switched on everywhere later), or take the key out`,
  );
}

/** Locks a version for everybody until a time (mode COMPLIANCE): whoever holds the credentials cannot delete it. */
export async function lockVersion(client: S3Client, version: S3Object, untilMs: number): Promise<void> {
  const until = new Date(untilMs).toISOString();
  const body = Buffer.from(
    `<Retention xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Mode>COMPLIANCE</Mode><RetainUntilDate>${until}</RetainUntilDate></Retention>`,
  );
  const { status } = await client.call({
    method: 'PUT',
    key: version.key,
    query: { retention: '', versionId: version.versionId },
    headers: {
      'content-md5': createHash('md5').update(body).digest('base64'),
      'content-type': 'application/xml',
    },
    body,
    what: 'lock what was written',
    permission: 's3:PutObjectRetention',
    expects: ['InvalidRequest', 'ObjectLockConfigurationNotFoundError'],
  });
  if (status > 299) throw cannotLock(client);
}

/** Removes every version under a key, as a deletion without a version removes none. */
export async function removeVersions(client: S3Client, key: string): Promise<Removal> {
  let removal: Removal = 'removed';
  const versions: S3Object[] = [];
  for await (const version of listVersions(client, key)) {
    if (version.key !== key) break;
    versions.push(version);
  }
  for (const version of versions) if ((await removeVersion(client, version)) === 'locked') removal = 'locked';
  return removal;
}

async function removeVersion(client: S3Client, { key, versionId, isMarker }: S3Object): Promise<Removal> {
  if (!isMarker && (await isLocked(client, key, versionId))) return 'locked';
  await client.call({
    method: 'DELETE',
    key,
    query: { versionId },
    what: 'remove a version',
    permission: 's3:DeleteObjectVersion',
    expects: [404],
  });
  return 'removed';
}

async function isLocked(client: S3Client, key: string, versionId: string): Promise<boolean> {
  const { headers } = await client.call({
    method: 'HEAD',
    key,
    query: { versionId },
    what: 'look at the lock of a version',
    permission: 's3:GetObjectVersion and s3:GetObjectRetention',
    expects: [404],
  });
  const until = Date.parse(headers['x-amz-object-lock-retain-until-date'] ?? '');
  return until > client.clock.now() || headers['x-amz-object-lock-legal-hold'] === 'ON';
}
