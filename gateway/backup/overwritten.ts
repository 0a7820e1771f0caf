import { parseArchiveName } from './archive-format.ts';
import { noteName } from './archive-note.ts';
import type { BackupTarget, LaterVersions, StoredObject } from './backup-target.ts';
import { segmentNumber } from './journal-segment.ts';

/** A name at a target that somebody wrote over or deleted, in vain: what was there first counts. */
export interface OverwrittenName extends LaterVersions {
  readonly name: string;
}

/** More than these are not told one by one. */
const TOLD = 1000;

/** Those of some names that somebody wrote over or deleted. */
export function overwrittenOf(objects: readonly StoredObject[]): OverwrittenName[] {
  return objects
    .flatMap(({ name, later }) => (later === undefined ? [] : [{ name, ...later }]))
    .slice(0, TOLD);
}

/** Those of them that are an archive or its note. */
export function overwrittenAt(archive: string, names: readonly OverwrittenName[]): OverwrittenName[] {
  return names.filter(({ name }) => name === archive || name === noteName(archive));
}

/** Looks for what somebody wrote over or deleted under names that begin so. @throws GatewayError `backup_failed`. */
export async function findOverwritten(
  target: Pick<BackupTarget, 'list'>,
  prefixes: readonly string[],
): Promise<OverwrittenName[]> {
  const listed = await Promise.all(prefixes.map((prefix) => target.list(prefix)));
  return overwrittenOf(listed.flat());
}

/** What happened to a name, for people. @param label how it is called; its whole name looks like a secret to a log. */
export function describeOverwritten({ name, written, deleted }: OverwrittenName, label = name): string {
  const times = (count: number) => (count === 1 ? 'once' : `${count} times`);
  const happened = [
    ...(written === 0 ? [] : [`written over ${times(written)}`]),
    ...(deleted === 0 ? [] : [`deleted ${times(deleted)}`]),
  ];
  return `${label} was ${happened.join(' and ')} after it was made, by somebody who can write to the target: what was there first counts`;
}

/** A name as logs and the audit trail show it. */
export function labelOf(name: string): string {
  const segment = segmentNumber(name);
  if (segment !== undefined) return `segment ${segment} of the journal`;
  const archive = parseArchiveName(name.replace(/\.json$/, ''));
  if (archive === undefined) return 'the report of a drill';
  return archive.name === name ? `the archive ${archive.id}` : `the note of the archive ${archive.id}`;
}
