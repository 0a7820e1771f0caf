import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';

import type { SignedRecords } from '../admin/signed-records.ts';
import { UNFINISHED_FILE } from '../backup/restore-place.ts';
import { GatewayError } from '../core/gateway-error.ts';
import { EPOCH_RECORD, type RecordStore } from '../store/record-store.ts';
import { type Closers, every } from './closers.ts';
import type { Foundation } from './foundation.ts';

const TICK_MS = 1000;

/** Refuses a data directory that a restore was interrupted in. @throws GatewayError `internal`. */
export function refuseUnfinished(data: string): void {
  if (!existsSync(join(data, UNFINISHED_FILE))) return;
  throw new GatewayError(
    'internal',
    `a restore into ${data} was interrupted; nothing is served from it: run the same zasov restore command again`,
  );
}

/** How often this state was restored; 0 for one that never was. @throws GatewayError `store_unavailable`. */
export async function readEpoch(records: Pick<RecordStore, 'read'>): Promise<number> {
  return (await records.read(EPOCH_RECORD.kind, EPOCH_RECORD.id))?.version ?? 0;
}

/** SHA-256 of the archive that this state was last restored from. @throws as `SignedRecords.read`. */
export async function restoredArchive(signed: SignedRecords): Promise<string | undefined> {
  const found = await signed.read<{ readonly archive: string }>(EPOCH_RECORD.kind, EPOCH_RECORD.id);
  return found?.value.archive;
}

/** Tells two restores apart, also when both began from the same backup. */
async function markOf(records: Pick<RecordStore, 'read'>): Promise<string> {
  const found = await records.read(EPOCH_RECORD.kind, EPOCH_RECORD.id);
  return found === undefined ? 'none' : `${found.version} ${Buffer.from(found.body).toString('base64')}`;
}

/**
 * Watches for a restore that took the place of what this process works with: what it has in memory may say that
 * something revoked still counts.
 *
 * @returns resolves with a sentence when it must stop serving; never otherwise.
 * @throws GatewayError `store_unavailable`.
 */
export async function watchEpoch(
  { records, data, logger }: Pick<Foundation, 'records' | 'data' | 'logger'>,
  closers: Closers,
): Promise<{ readonly superseded: Promise<string> }> {
  const startedWith = await markOf(records);
  const place = (await stat(data)).ino;
  const whyStop = async (): Promise<string | undefined> => {
    const now = await stat(data).catch(() => undefined);
    if (now?.ino !== place) return `the data directory ${data} was replaced while the gateway ran`;
    if ((await markOf(records)) === startedWith) return undefined;
    return 'the state under it was restored from a backup';
  };
  const superseded = new Promise<string>((resolve) => {
    const look = () =>
      whyStop().then(
        (says) => {
          if (says === undefined) return;
          stop();
          logger.error('stops serving: start the gateway again', { reason: says });
          resolve(says);
        },
        // While the store is away nothing is let through anyway.
        () => undefined,
      );
    const stop = every(TICK_MS, look);
    closers.push(stop);
  });
  return { superseded };
}
