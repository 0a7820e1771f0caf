import { setTimeout as pause } from 'node:timers/promises';

import { createAuditKeys } from '../audit/audit-keys.ts';
import { type AuditRecord, lineOf } from '../audit/audit-record.ts';
import { TrailFollower } from '../audit/follow-trail.ts';
import { escapeHidden } from '../observability/json-text.ts';
import { type AuditFlags, findTrail, readMaster } from './audit-place.ts';
import { UsageError } from './usage-error.ts';

const FOLLOW_MS = 250;
const EVENT_WIDTH = 24;
const WRITER_WIDTH = 11;
/** What a person who reads the trail has no use for. */
const UNREAD: ReadonlySet<string> = new Set(['signature', 'others']);

/** Options of `zasov audit tail`. */
interface TailFlags extends AuditFlags {
  readonly json: boolean;
  readonly follow: boolean;
  readonly lines: string;
  readonly subject?: string | undefined;
  readonly event?: string | undefined;
}

/**
 * Shows the last records, and with `--follow` those that come, until it is interrupted.
 *
 * @returns 0. @throws UsageError; Error when the master key is needed to find a person and cannot be read.
 */
export async function runTail(flags: TailFlags): Promise<number> {
  const count = Number(flags.lines);
  if (!Number.isSafeInteger(count) || count < 0) throw new UsageError('--lines is a number of records');
  const isWanted = filterOf(flags);
  // Only to find the directory: what is shown is not checked here.
  const directory = await findTrail(flags, { checkSignature: () => 'good' });
  const follower = new TrailFollower(directory);
  const show = flags.json ? lineOf : describe;
  if (!flags.json) process.stdout.write(`${heading()}\n`);
  for (const record of await follower.last(count, isWanted)) process.stdout.write(show(record));
  while (flags.follow) {
    await pause(FOLLOW_MS);
    for (const record of await follower.next()) if (isWanted(record)) process.stdout.write(show(record));
  }
  return 0;
}

function filterOf(flags: TailFlags): (record: AuditRecord) => boolean {
  const { event, subject } = flags;
  const persons = subject === undefined ? undefined : personsOf(flags, subject);
  return (record) =>
    (event === undefined || record.event === event || record.event.startsWith(`${event}.`)) &&
    (persons === undefined || persons.has(String(record.facts['person'])));
}

function personsOf(flags: TailFlags, subject: string): Set<string> {
  const slash = subject.indexOf('/');
  if (slash < 1) throw new UsageError('--subject is ACCOUNT/SUBJECT');
  const keys = createAuditKeys(readMaster(flags));
  return new Set(keys.persons(subject.slice(0, slash), subject.slice(slash + 1)));
}

function heading(): string {
  return `${'TIME'.padEnd(24)}  ${'WRITER'.padEnd(WRITER_WIDTH)}  ${'SEQ'.padStart(6)}  ${'EVENT'.padEnd(EVENT_WIDTH)}  FACTS`;
}

function describe({ time, writer, seq, event, facts }: AuditRecord): string {
  const told = Object.entries(facts)
    .filter(([name]) => !UNREAD.has(name))
    .map(([name, value]) => `${name}=${plain(value)}`);
  const cells = [
    plain(time).padEnd(24),
    plain(writer).padEnd(WRITER_WIDTH),
    String(seq).padStart(6),
    plain(event).padEnd(EVENT_WIDTH),
  ];
  return `${[...cells, told.join(' ')].join('  ').trimEnd()}\n`;
}

/** A value as a word, in quotes where it is none: nothing in it moves the cursor of a terminal. */
function plain(value: string | number | boolean | readonly string[]): string {
  if (typeof value === 'string' && /^[\w.:@/+-]+$/.test(value)) return value;
  return escapeHidden(JSON.stringify(value));
}
