import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import { headsDirectory } from '../audit/trail-head.ts';
import type { JournalPosition } from '../backup/archive-format.ts';
import { createLeaseBox } from '../backup/backup-lease.ts';
import { createBackupSigner } from '../backup/backup-signer.ts';
import type { BackupTarget } from '../backup/backup-target.ts';
import type { JournalHead } from '../backup/journal-segment.ts';
import { JournalWriter } from '../backup/journal-writer.ts';
import type { Clock } from '../core/clock.ts';
import { GatewayError } from '../core/gateway-error.ts';

import type { BackupPolicy } from '../policy/compile-backup.ts';
import { every } from './closers.ts';
import type { Foundation } from './foundation.ts';

/** The journal of a gateway, while its policies ask for backups. */
export interface BackupJournal {
  /** How far the target is behind, in milliseconds; `undefined` where another gateway writes it. */
  readonly lagMs: number | undefined;
  /**
   * Where it stands, whoever writes it: at its first segment at least, so that no change falls between an archive and
   * its journal.
   *
   * @throws GatewayError `backup_failed` when nobody begins to write it within {@link BEGIN_MS}; `store_unavailable`.
   */
  position(signal: AbortSignal): Promise<JournalPosition>;
  close(): Promise<void>;
}

const TICK_MS = 1000;
/** A gateway that died before its first segment is followed by then. */
const BEGIN_MS = 15_000;

/**
 * Begins to write the journal to a target, or to wait until the gateway that does falls silent.
 *
 * @param isAlone whether no other gateway shares the store. @param complain told of each failure.
 */
export function openBackupJournal(
  { records, keyStore, keyring, clock, data }: Foundation,
  { recipients }: Pick<BackupPolicy, 'recipients'>,
  target: BackupTarget,
  { isAlone, complain }: { isAlone: boolean; complain: (error: unknown) => void },
): BackupJournal {
  const writer = new JournalWriter({
    target,
    recipients,
    signer: createBackupSigner(keyring),
    keys: keyStore,
    records,
    box: createLeaseBox(keyring),
    clock,
    isAlone,
    heads: () => readHeadFiles(headsDirectory(data)),
  });
  const tick = () => writer.tick().catch(complain);
  const stop = every(TICK_MS, tick);
  // What is revoked in the first second counts too.
  void tick();
  return {
    get lagMs() {
      return writer.lagMs;
    },
    position: (signal) => positionOf(writer, clock, signal),
    close: async () => {
      stop();
      await writer.close();
    },
  };
}

async function positionOf(
  writer: JournalWriter,
  clock: Clock,
  signal: AbortSignal,
): Promise<JournalPosition> {
  for (const endMs = clock.now() + BEGIN_MS; ;) {
    await writer.tick();
    const position = await writer.position();
    if (position.seq > 0) return position;
    if (clock.now() >= endMs)
      throw new GatewayError('backup_failed', 'no gateway has begun to write the journal; see the log');
    await pause(TICK_MS, undefined, { signal });
  }
}

/** The ends of all audit chains of this node, as they are on the disk: each is signed. */
async function readHeadFiles(directory: string): Promise<JournalHead[]> {
  const names = (await readdir(directory).catch(() => [])).filter((name) => name.endsWith('.head'));
  return await Promise.all(
    names.map(async (name) => ({ name, text: (await readFile(join(directory, name), 'latin1')).trim() })),
  );
}
