import type { Clock } from '../core/clock.ts';
import { GatewayError } from '../core/gateway-error.ts';
import type { Signer } from '../crypto/signing-key.ts';
import { type ArchiveHead, archiveName } from './archive-format.ts';
import { noteName, writeNote } from './archive-note.ts';
import type { FinishedBackup } from './backup-lease.ts';
import type { BackupProgress } from './backup-progress.ts';
import type { BackupTarget, WrittenObject } from './backup-target.ts';
import { oneChunk } from './one-chunk.ts';
import { applyRetention, type RetentionRule } from './retention.ts';
import { surveyTarget } from './target-survey.ts';

/** An archive on its way to the target. */
export interface StoredArchive {
  readonly target: BackupTarget;
  readonly head: ArchiveHead;
  /** The encrypted archive. It ends only when everything in it was checked, and fails otherwise. */
  readonly body: AsyncIterable<Uint8Array>;
  readonly signer: Signer;
  readonly signal: AbortSignal;
  readonly clock: Clock;
  /** `false` when somebody else makes this backup meanwhile. */
  confirm(): Promise<boolean>;
  onProgress(progress: BackupProgress): void;
}

/** What is done once an archive is there. */
export interface Tidying {
  readonly keep: Pick<RetentionRule, 'keep' | 'keepForMs'>;
  /** Public keys of this gateway's backups. */
  readonly signers: readonly string[];
  /** Removes segments of the journal before this one. */
  pruneJournal(beforeSeq: number): Promise<void>;
}

/** Unfinished copies of processes that died are removed when they are older. */
const UNFINISHED_MS = 3_600_000;
const LOST = 'another node has taken this backup over, because this one was not heard of for too long';

/**
 * Stores an archive, whole or not at all: under a temporary name, read back, named, and last of all vouched for by a
 * signed note, without which it counts as never finished. The lease is asked before it is named and before the note,
 * so that of two who made it at once only one has made it.
 *
 * @throws GatewayError `backup_failed`; the archives before it are untouched then.
 */
export async function storeArchive(archive: StoredArchive): Promise<FinishedBackup> {
  const { target, head, signer, signal, clock } = archive;
  const { id, kind, created_ms: createdMs, node, journal } = head;
  const beganMs = clock.now();
  const name = archiveName({ kind, id, createdMs });
  const written = await target.put(name, confirmed(archive), {
    signal,
    onBytes: (bytes) => archive.onProgress({ phase: 'writing', bytes }),
  });
  const { bytes, sha256 } = written;
  try {
    await mustHold(archive);
    const note = writeNote(
      { archive: name, id, kind, created_ms: createdMs, node, journal, ...written },
      signer,
    );
    await putText(target, noteName(name), note, signal);
  } catch (error) {
    // What nobody vouches for is no backup; a target that fails here keeps it, and it counts as unfinished.
    await target.remove(name).catch(() => undefined);
    throw error;
  }
  return { archive: name, bytes, sha256, createdMs, seconds: (clock.now() - beganMs) / 1000 };
}

/**
 * Removes what has had its time: archives, segments of the journal, and what dead processes left unfinished.
 *
 * @returns what an operator should know. A target that fails here takes nothing from the new archive.
 */
export async function tidyTarget(
  { target, clock }: Pick<StoredArchive, 'target' | 'clock'>,
  tidying: Tidying,
): Promise<string[]> {
  try {
    await target.sweep(UNFINISHED_MS);
    const { held } = await surveyTarget(target, tidying.signers);
    const report = await applyRetention(target, held, { ...tidying.keep, nowMs: clock.now() });
    if (report.journalBeforeSeq !== undefined) await tidying.pruneJournal(report.journalBeforeSeq);
    return [];
  } catch (error) {
    const says = error instanceof Error ? error.message : String(error);
    return [`the backup is done, and old ones could not be removed: ${says}`];
  }
}

async function* confirmed(archive: StoredArchive): AsyncGenerator<Uint8Array> {
  yield* archive.body;
  // The target names what has come to its end, so the question stands before it.
  archive.onProgress({ phase: 'reading back', bytes: 0 });
  await mustHold(archive);
}

async function mustHold({ confirm, signal }: Pick<StoredArchive, 'confirm' | 'signal'>): Promise<void> {
  signal.throwIfAborted();
  if (!(await confirm())) throw new GatewayError('backup_failed', LOST);
}

async function putText(
  target: BackupTarget,
  name: string,
  text: string,
  signal: AbortSignal,
): Promise<WrittenObject> {
  return await target.put(name, oneChunk(text), { signal });
}
