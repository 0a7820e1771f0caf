import type { BackupTarget } from './backup-target.ts';
import { JOURNAL_FOLDER, segmentNumber } from './journal-segment.ts';

/**
 * Removes the segments of the journal that no archive needs any more. What is locked stays until another time.
 *
 * @param beforeSeq the number of the first segment that is needed. @throws GatewayError `backup_failed`.
 */
export async function pruneJournal(
  target: Pick<BackupTarget, 'list' | 'remove'>,
  beforeSeq: number,
): Promise<void> {
  for (const { name } of await target.list(JOURNAL_FOLDER)) {
    const seq = segmentNumber(name);
    if (seq !== undefined && seq < beforeSeq) await target.remove(name);
  }
}
