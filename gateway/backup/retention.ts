import { ARCHIVE_PREFIX, parseArchiveName } from './archive-format.ts';
import { noteName } from './archive-note.ts';
import type { ArchiveKind } from './backup-progress.ts';
import type { BackupTarget } from './backup-target.ts';

/** What retention has to know of an archive at the target. */
export interface HeldArchive {
  readonly name: string;
  readonly kind: ArchiveKind;
  /** Whose it is when it is of the kind `node`; empty when no note says it. */
  readonly node: string;
  readonly createdMs: number;
  /** Where its journal begins; nothing when no note says it. */
  readonly journalSeq: number | undefined;
  /**
   * Finished and proved: its note is there and signed by this gateway. Notes of another signer never count, or whoever
   * can write to the target would have good archives removed by putting their own beside them.
   */
  readonly isGood: boolean;
}

/** What is kept. */
export interface RetentionRule {
  /** So many good ones: of the fleet, and of every node. */
  readonly keep: number;
  /** Nothing younger goes, whatever `keep` says. */
  readonly keepForMs?: number | undefined;
  readonly nowMs: number;
}

/** What retention did. */
export interface RetentionReport {
  readonly removed: readonly string[];
  /** What is due and locked; the target lets it go later. */
  readonly locked: readonly string[];
  /** Segments of the journal before this one belong to no archive any more; nothing when that is not known. */
  readonly journalBeforeSeq: number | undefined;
}

/** A note may be left without its archive only by a removal that was cut off, or its archive is being written. */
const ORPHAN_MS = 86_400_000;

/**
 * Chooses the archives that have had their time, the oldest first. Of the fleet's, and of every node's, the newest good
 * one is never among them, nor one from the future, which a wrong clock has made and which therefore proves nothing
 * about which is the last. What is not good takes nobody's place, and goes when every good one of its kind that is kept
 * is younger.
 */
export function chooseExpired(archives: readonly HeldArchive[], rule: RetentionRule): string[] {
  const keep = Math.max(1, rule.keep);
  const groups = Map.groupBy(
    archives.filter(({ isGood, createdMs }) => isGood && createdMs <= rule.nowMs),
    ({ kind, node }) => (kind === 'fleet' ? kind : `${kind} ${node}`),
  );
  const isOld = ({ createdMs }: HeldArchive): boolean => createdMs < rule.nowMs - (rule.keepForMs ?? 0);
  const due = new Set<HeldArchive>();
  for (const group of groups.values())
    for (const archive of group.toSorted(byAge).slice(0, -keep)) if (isOld(archive)) due.add(archive);
  const oldest = new Map<ArchiveKind, number>();
  for (const { kind, createdMs } of archives.filter((each) => each.isGood && !due.has(each)))
    oldest.set(kind, Math.min(createdMs, oldest.get(kind) ?? Infinity));
  for (const archive of archives)
    if (!archive.isGood && isOld(archive) && archive.createdMs < (oldest.get(archive.kind) ?? 0))
      due.add(archive);
  return [...due].toSorted(byAge).map(({ name }) => name);
}

/** Names are unequal, so that the order is one. */
function byAge(one: HeldArchive, other: HeldArchive): number {
  return one.createdMs - other.createdMs || (one.name < other.name ? -1 : 1);
}

/**
 * Removes the archives that have had their time with their notes: the archive first, because a note without an archive
 * is seen and tidied up, and an archive without a note would count as never finished.
 *
 * @throws GatewayError `backup_failed` when the target fails; what was removed by then stays removed.
 */
export async function applyRetention(
  target: BackupTarget,
  archives: readonly HeldArchive[],
  rule: RetentionRule,
): Promise<RetentionReport> {
  const removed: string[] = [];
  const locked: string[] = [];
  for (const name of chooseExpired(archives, rule)) {
    const removal = await target.remove(name);
    if (removal === 'removed') await target.remove(noteName(name));
    (removal === 'removed' ? removed : locked).push(name);
  }
  await removeOrphans(target, rule.nowMs);
  const gone = new Set(removed);
  return { removed, locked, journalBeforeSeq: firstNeeded(archives.filter(({ name }) => !gone.has(name))) };
}

async function removeOrphans(target: BackupTarget, nowMs: number): Promise<void> {
  const objects = await target.list(ARCHIVE_PREFIX);
  const names = new Set(objects.map(({ name }) => name));
  for (const { name, modifiedMs } of objects) {
    const archive = name.replace(/\.json$/, '');
    const isNote = archive !== name && parseArchiveName(archive) !== undefined;
    if (isNote && !names.has(archive) && nowMs - modifiedMs > ORPHAN_MS) await target.remove(name);
  }
}

/** Only good archives of the fleet are restored with the journal. */
function firstNeeded(kept: readonly HeldArchive[]): number | undefined {
  const positions = kept
    .filter(({ kind, isGood }) => kind === 'fleet' && isGood)
    .map(({ journalSeq }) => journalSeq);
  const known = positions.filter((seq) => seq !== undefined);
  return known.length === 0 || known.length < positions.length ? undefined : Math.min(...known);
}
