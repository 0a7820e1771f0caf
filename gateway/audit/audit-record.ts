import { hash } from 'node:crypto';

import type { AuditFacts } from '../core/audit-event.ts';
import { canonicalJson } from '../core/canonical-json.ts';
import { scrubText } from '../observability/scrub-text.ts';

/**
 * One record of a trail; a line of its file is the canonical JSON of it (RFC 8785). The records of one writer are a
 * chain: each names the hash of the one before.
 */
export interface AuditRecord {
  readonly event: string;
  readonly facts: Facts;
  /** Hash of the record before; {@link GENESIS} in a writer's first. */
  readonly prev: string;
  /** 1 in a writer's first record, one more in each. */
  readonly seq: number;
  /** UTC, RFC 3339. */
  readonly time: string;
  /** The node and its slot, `0a1b2c3d-1`. */
  readonly writer: string;
  /** Key id, dot, HMAC of all of the above: nobody without the master key makes a record that passes. */
  readonly mac: string;
  /** SHA-256 of the canonical JSON of all of the above, in hexadecimal. */
  readonly hash: string;
}

/** What a record says, without what binds it. */
export type RecordBody = Omit<AuditRecord, 'hash' | 'mac'>;
type Facts = Readonly<Record<string, string | number | boolean | readonly string[]>>;

/** What the first record of a writer names as the hash before it. */
export const GENESIS = '0'.repeat(64);

/** Events that hold a signature over everything before them. */
const SIGNED: ReadonlySet<string> = new Set([
  'trail.checkpoint',
  'trail.rotated',
  'trail.closed',
  'trail.restored',
]);

/** Whether a record is a signed checkpoint. */
export function isCheckpoint({ event }: { readonly event: string }): boolean {
  return SIGNED.has(event);
}

/** What the code of a record is made over. */
export function bodyText({ event, facts, prev, seq, time, writer }: RecordBody): string {
  return canonicalJson({ event, facts, prev, seq, time, writer });
}

/** The hash of a record. */
export function hashOf({ event, facts, mac, prev, seq, time, writer }: Omit<AuditRecord, 'hash'>): string {
  return hash('sha256', canonicalJson({ event, facts, mac, prev, seq, time, writer }), 'hex');
}

/** What the signature of a checkpoint is made over: all of it but the signature itself. */
export function signedText({ event, facts, prev, seq, time, writer }: RecordBody): string {
  const { signature: _signature, ...rest } = facts;
  return `zasov audit checkpoint\n${canonicalJson({ event, facts: rest, prev, seq, time, writer })}`;
}

/** The line of a record, with its line break. */
export function lineOf({ event, facts, prev, seq, time, writer, hash: ownHash, mac }: AuditRecord): string {
  return `${canonicalJson({ event, facts, hash: ownHash, mac, prev, seq, time, writer })}\n`;
}

/** Reads a line without its break. @returns `undefined` when it is no record in its one canonical form. */
export function parseLine(line: string): AuditRecord | undefined {
  try {
    const value = JSON.parse(line) as unknown;
    return isRecord(value) && lineOf(value) === `${line}\n` ? value : undefined;
  } catch {
    return undefined;
  }
}

const TEXTS = ['event', 'prev', 'time', 'writer', 'hash', 'mac'] as const;

function isRecord(value: unknown): value is AuditRecord {
  if (value === null || typeof value !== 'object' || !('facts' in value) || !('seq' in value)) return false;
  const { facts, seq } = value;
  const texts = value as Partial<Record<string, unknown>>;
  return (
    TEXTS.every((name) => typeof texts[name] === 'string') &&
    Number.isSafeInteger(seq) &&
    facts !== null &&
    typeof facts === 'object' &&
    !Array.isArray(facts)
  );
}

const TEXT_LIMIT = 512;
const ITEMS_LIMIT = 64;
const FACTS_LIMIT = 40;
/** Facts that look drawn at random and are public: ids, keyed hashes and hashes of texts. */
const PUBLIC_NAMES = new Set(
  'id person session key successor operation proposal policy signature record request others chains archive'.split(
    ' ',
  ),
);
const PUBLIC_TEXT = /^(?:sha256:)?[0-9a-f]{64}$/;

/** Bounds what goes into a record and takes out what looks like a secret: the last net, as in the log. */
export function safeFacts(facts: AuditFacts): Facts {
  const safe: Record<string, string | number | boolean | readonly string[]> = {};
  for (const [name, value] of Object.entries(facts).slice(0, FACTS_LIMIT)) {
    if (value === undefined) continue;
    safe[name] = safeFact(name, value);
  }
  return safe;
}

function safeFact(name: string, value: string | number | boolean | readonly string[]) {
  if (typeof value === 'string') return safeText(name, value);
  if (typeof value === 'object') return value.slice(0, ITEMS_LIMIT).map((item) => safeText(name, item));
  return typeof value === 'number' && !Number.isFinite(value) ? String(value) : value;
}

function safeText(name: string, text: string): string {
  const bounded = text.slice(0, TEXT_LIMIT).toWellFormed();
  return PUBLIC_NAMES.has(name) || PUBLIC_TEXT.test(bounded) ? bounded : scrubText(bounded);
}
