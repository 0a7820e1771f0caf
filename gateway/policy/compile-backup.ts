import { resolve } from 'node:path';

import type { BackupPlace } from '../config/backup-place.ts';
import type { SecretReference } from '../config/secret-reference.ts';
import type { PolicySettings } from './policy-schema.ts';

/** What else goes into an archive: what a command writes, or what a URL answers with. */
export interface BackupSource {
  readonly name: string;
  readonly from:
    | { readonly command: readonly string[] }
    | { readonly url: string; readonly token: SecretReference | undefined };
  readonly restore: readonly string[];
  /** For all of a dump or of a restore. */
  readonly timeoutMs: number;
  /** For a dump that is waited for and writes nothing. */
  readonly idleMs: number;
}

/** Copies of everything on external storage: when, for whom, where, and for how long. */
export interface BackupPolicy {
  readonly everyMs: number;
  /** Time after midnight UTC; `undefined` means as soon as one is due. */
  readonly atMs: number | undefined;
  readonly recipients: readonly string[];
  readonly to: BackupPlace;
  readonly keep: number;
  readonly keepForMs: number | undefined;
  readonly drillEveryMs: number;
  readonly include: readonly BackupSource[];
}

const MINUTE_MS = 60_000;

/** Compiles the `backup` section. */
export function compileBackup({ backup }: PolicySettings): BackupPolicy | undefined {
  if (backup === undefined) return undefined;
  const [hours = 0, minutes = 0] = (backup.at ?? '').split(':').map(Number);
  return {
    everyMs: backup.every,
    atMs: backup.at === undefined ? undefined : (hours * 60 + minutes) * MINUTE_MS,
    recipients: backup.recipients,
    to: compilePlace(backup.to),
    keep: backup.keep,
    keepForMs: backup.keep_for,
    drillEveryMs: backup.drill_every,
    include: backup.include.map(({ name, dump, http, token, restore, timeout, idle }) => ({
      name,
      // The schema has seen to it that there is exactly one of them.
      from: http === undefined ? { command: dump ?? [] } : { url: http, token },
      restore,
      timeoutMs: timeout,
      idleMs: idle,
    })),
  };
}

function compilePlace({ dir, s3 }: NonNullable<PolicySettings['backup']>['to']): BackupPlace {
  if (s3 === undefined) return { kind: 'dir', dir: resolve(dir ?? '') };
  const { endpoint, bucket, region, prefix } = s3;
  return {
    kind: 's3',
    endpoint,
    bucket,
    region,
    prefix,
    objectLockMs: s3.object_lock,
    accessKey: s3.access_key,
    secretKey: s3.secret_key,
  };
}
