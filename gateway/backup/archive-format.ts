import { randomBytes } from 'node:crypto';

import type { ArchiveKind } from './backup-progress.ts';

/** Where the journal stood: its last segment and the hash of that. `seq` 0 with an empty hash is before the first. */
export interface JournalPosition {
  readonly seq: number;
  readonly hash: string;
}

/** What an archive says of itself, first: `zasov.json`. */
export interface ArchiveHead {
  readonly format: 1;
  readonly id: string;
  readonly kind: ArchiveKind;
  /** When the snapshot began, ms since the epoch. */
  readonly created_ms: number;
  /** Of the program. */
  readonly version: string;
  readonly node: string;
  /** The last segment of the journal before the snapshot began. */
  readonly journal: JournalPosition;
  /** The public key of whoever signs the manifest: SubjectPublicKeyInfo in base64. */
  readonly signer: string;
  /** Ids of the master keys that it needs. */
  readonly kids: readonly string[];
}

const LATEST_MS = 8_640_000_000_000_000;
/** A name for people; longer or with control characters it would be something else. */
const PLAIN = /^[^\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]{0,256}$/u;

/** Reads the head of an archive. @returns `undefined` for what is none, or of another version. */
export function readHead(text: string): ArchiveHead | undefined {
  const head = parse(text);
  if (head?.format !== 1) return undefined;
  const { kind, created_ms: createdMs, journal, kids } = head;
  const is = [
    kind === 'fleet' || kind === 'node',
    isWhole(createdMs) && createdMs <= LATEST_MS,
    isObject(journal) && isWhole(journal['seq']) && isPlain(journal['hash']),
    Array.isArray(kids) && kids.every(isPlain),
    [head['id'], head['version'], head['node'], head['signer']].every(isPlain),
  ];
  return is.every(Boolean) ? (head as unknown as ArchiveHead) : undefined;
}

function parse(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

function isPlain(value: unknown): boolean {
  return typeof value === 'string' && PLAIN.test(value);
}

/** What is known of an archive by its name alone. */
export interface ArchiveName {
  readonly name: string;
  readonly kind: ArchiveKind;
  readonly id: string;
  readonly createdMs: number;
}

/** What the names of all archives begin with. */
export const ARCHIVE_PREFIX = 'zasov-';

const NAME = /^zasov-(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z-(fleet|node)-([a-z2-7]{8})\.age$/;
const ID_LETTERS = 'abcdefghijklmnopqrstuvwxyz234567';

/** A new id of an archive, a report or whatever else must not meet another one: 40 random bits in base32. */
export function newArchiveId(): string {
  return Array.from(randomBytes(8), (byte) => ID_LETTERS[byte % 32]).join('');
}

/** The name of an archive: `zasov-20261126T030000Z-fleet-k3j5q2ab.age`. Names sort by time. */
export function archiveName({ kind, id, createdMs }: Omit<ArchiveName, 'name'>): string {
  const time = new Date(createdMs).toISOString().replaceAll(/[-:]|\.\d+/g, '');
  return `${ARCHIVE_PREFIX}${time}-${kind}-${id}.age`;
}

/** @returns `undefined` for what is no name of an archive; `createdMs` is exact to the second. */
export function parseArchiveName(name: string): ArchiveName | undefined {
  const match = NAME.exec(name);
  if (match === null) return undefined;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1, 7).map(Number);
  const kind = match[7] === 'node' ? 'node' : 'fleet';
  return { name, kind, id: match[8] ?? '', createdMs: Date.UTC(year, month - 1, day, hour, minute, second) };
}
