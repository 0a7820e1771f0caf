import { GatewayError } from '../core/gateway-error.ts';
import { ARCHIVE_PREFIX, parseArchiveName } from './archive-format.ts';
import { type ArchiveNote, NOTE_BYTES, noteName, readNote } from './archive-note.ts';
import type { ArchiveKind } from './backup-progress.ts';
import type { BackupTarget } from './backup-target.ts';
import type { HeldArchive } from './retention.ts';
import { type DrillReport, readDrillReport } from './drill-report.ts';
import { type OverwrittenName, overwrittenAt, overwrittenOf } from './overwritten.ts';

/** One archive at a target, as far as can be told without an identity. */
export interface ArchiveView {
  readonly archive: string;
  readonly kind: ArchiveKind;
  readonly bytes: number;
  readonly created_at: string;
  /** Who vouches for it: this gateway, somebody else, or nobody: it was never finished, or its note is damaged. */
  readonly signed: 'ours' | 'other' | 'no';
  /** When it was last restored to prove that it can be, by a report that this gateway believes. */
  readonly drilled_at: string | null;
  /** How often somebody wrote over it or its note, and deleted one of them, in vain: what was there first counts. */
  readonly overwritten: number;
  readonly deleted: number;
}

/** What is at a target. */
export interface TargetSurvey {
  /** Oldest first. */
  readonly archives: readonly ArchiveView[];
  /** The same for retention. */
  readonly held: readonly HeldArchive[];
  readonly lastDrill: DrillReport | undefined;
  /** What somebody wrote over or deleted: archives, their notes, reports of drills. */
  readonly overwritten: readonly OverwrittenName[];
}

/** The folder of reports of drills at a target. */
export const DRILL_FOLDER = 'drills/';

const REPORT_BYTES = 256 * 1024;
/** Questions to the target at once. */
const AT_ONCE = 8;
/** Older reports say nothing that is asked for. */
const REPORTS = 200;

/**
 * Looks through a target.
 *
 * @param signers public keys of this gateway's backups. @throws GatewayError `backup_failed`.
 */
export async function surveyTarget(target: BackupTarget, signers: readonly string[]): Promise<TargetSurvey> {
  const objects = await target.list(ARCHIVE_PREFIX);
  const names = new Set(objects.map(({ name }) => name));
  const { reports, overwritten: overwrittenReports } = await readReports(target, signers);
  const overwritten = overwrittenOf(objects);
  const drilled = new Map(reports.map((report) => [report.archive, report.at_ms]));
  const found = objects.flatMap(({ name, bytes }) => {
    const parsed = parseArchiveName(name);
    return parsed === undefined ? [] : [{ ...parsed, bytes }];
  });
  const noted = await inTurns(found, async (each) => {
    const hasNote = names.has(noteName(each.name));
    return { ...each, note: hasNote ? await noteOf(target, each.name).catch(() => undefined) : undefined };
  });
  const archives = noted.map(({ name, kind, bytes, createdMs, note }) => ({
    archive: name,
    kind,
    bytes,
    created_at: new Date(createdMs).toISOString(),
    signed: signedBy(note, signers),
    drilled_at: timeText(drilled.get(name)),
    ...countsOf(name, overwritten),
  }));
  const held = noted.map(({ name, kind, createdMs, note }) => ({
    name,
    kind,
    node: note?.node ?? '',
    createdMs,
    journalSeq: note?.journal.seq,
    isGood: signedBy(note, signers) === 'ours',
  }));
  const lastDrill = reports.at(-1);
  return { archives, held, lastDrill, overwritten: [...overwritten, ...overwrittenReports] };
}

/** The drill that ended last, by reports that one of the keys has signed. @throws GatewayError `backup_failed`. */
export async function readLastDrill(
  target: BackupTarget,
  signers: readonly string[],
): Promise<DrillReport | undefined> {
  return (await readReports(target, signers)).reports.at(-1);
}

/** The note of an archive; `undefined` when it does not hold. @throws GatewayError `backup_failed` without one. */
export async function noteOf(target: BackupTarget, archive: string): Promise<ArchiveNote | undefined> {
  return readNote(archive, await textOf(target, noteName(archive), NOTE_BYTES));
}

function signedBy(note: ArchiveNote | undefined, signers: readonly string[]): ArchiveView['signed'] {
  if (note === undefined) return 'no';
  return signers.includes(note.signer) ? 'ours' : 'other';
}

function countsOf(
  archive: string,
  overwritten: readonly OverwrittenName[],
): Pick<ArchiveView, 'overwritten' | 'deleted'> {
  const both = overwrittenAt(archive, overwritten);
  return {
    overwritten: both.reduce((sum, { written }) => sum + written, 0),
    deleted: both.reduce((sum, { deleted }) => sum + deleted, 0),
  };
}

async function readReports(
  target: BackupTarget,
  signers: readonly string[],
): Promise<{ reports: DrillReport[]; overwritten: OverwrittenName[] }> {
  // Of names that begin with the time of their archive the last ones are of the newest.
  const objects = (await target.list(DRILL_FOLDER)).slice(-REPORTS);
  const reports = await inTurns(objects, async ({ name }) => {
    const text = await textOf(target, name, REPORT_BYTES).catch(() => '');
    return readDrillReport(text, signers);
  });
  return {
    reports: reports
      .filter((report) => report !== undefined)
      .toSorted((one, other) => one.at_ms - other.at_ms),
    overwritten: overwrittenOf(objects),
  };
}

async function textOf(target: BackupTarget, name: string, limitBytes: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of target.read(name)) {
    bytes += chunk.length;
    if (bytes > limitBytes)
      throw new GatewayError('backup_failed', `${name} in ${target.where} is longer than it can be`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

async function inTurns<One, Result>(
  all: readonly One[],
  work: (one: One) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  for (let start = 0; start < all.length; start += AT_ONCE)
    results.push(...(await Promise.all(all.slice(start, start + AT_ONCE).map(work))));
  return results;
}

function timeText(timeMs: number | undefined): string | null {
  return timeMs === undefined ? null : new Date(timeMs).toISOString();
}
