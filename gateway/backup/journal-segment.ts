import { hash } from 'node:crypto';

import { canonicalJson, type JsonValue } from '../core/canonical-json.ts';
import { type Signer, verifySignature } from '../crypto/signing-key.ts';
import { parseKey, parseRecord } from './restore-records.ts';
import type { RecordKind, StoredRecord } from '../store/record-store.ts';
import type { StoredKey } from '../store/key-store.ts';

/** The end of an audit chain, as its head file has it. */
export interface JournalHead {
  readonly name: string;
  readonly text: string;
}

/** What changed since the segment before, and where this one stands. Bodies are sealed as in the store. */
export interface SegmentContent {
  /** Names an unbroken row of segments; a restore begins another one. */
  readonly chain: string;
  readonly seq: number;
  /** Hash of the segment before; empty in the first. */
  readonly prev: string;
  /** When it was made, ms since the epoch: everything up to then is in this segment or before. */
  readonly atMs: number;
  readonly keys: readonly StoredKey[];
  readonly records: readonly StoredRecord[];
  readonly audit: readonly JournalHead[];
}

/** A segment as it is read. */
export interface ReadSegment extends SegmentContent {
  /** SHA-256 of its text, hexadecimal. */
  readonly hash: string;
  /** The public key that its signature holds under. */
  readonly signer: string;
}

/** The kinds of records that a journal keeps: what nobody may bring back, or must not lose. */
export const JOURNALED_KINDS: readonly RecordKind[] = ['admin', 'proposal', 'region', 'restore'];

/** The folder of segments at a target. */
export const JOURNAL_FOLDER = 'journal/';

const NAME = /^journal\/(\d{12})-([0-9a-f]{8})\.age$/;
const FORMAT = 1;

/** `journal/000000000123-0a1b2c3d.age`: its number, and the beginning of its hash, so that two of one number fit. */
export function segmentName(seq: number, digest: string): string {
  return `${JOURNAL_FOLDER}${String(seq).padStart(12, '0')}-${digest.slice(0, 8)}.age`;
}

/** The number of a segment by its name. @returns `undefined` for other names. */
export function segmentNumber(name: string): number | undefined {
  const match = NAME.exec(name);
  return match === null ? undefined : Number(match[1]);
}

/** Signs a segment. @returns its text, which is encrypted as it is, and the hash of that. */
export function writeSegment(content: SegmentContent, signer: Signer): { text: string; hash: string } {
  const body = plainOf(content, signer.publicKey);
  const text = JSON.stringify({ ...body, signature: signer.sign(signedText(body)) });
  return { text, hash: hash('sha256', text, 'hex') };
}

/** Reads a segment. @returns `undefined` when it is none, or when its signature does not hold. */
export function readSegment(text: string): ReadSegment | undefined {
  try {
    const { signature, ...body } = JSON.parse(text) as PlainSegment & { signature?: unknown };
    const { format, chain, seq, prev, at_ms: atMs, signer, keys, records, audit } = body;
    const isRight =
      format === FORMAT &&
      typeof signature === 'string' &&
      verifySignature(signer, signedText(body), signature);
    if (!isRight) return undefined;
    const read = { keys: keys.map(parseKey), records: records.map(parseRecord), audit };
    return { chain, seq, prev, atMs, signer, ...read, hash: hash('sha256', text, 'hex') };
  } catch {
    return undefined;
  }
}

interface PlainSegment {
  readonly format: number;
  readonly chain: string;
  readonly seq: number;
  readonly prev: string;
  readonly at_ms: number;
  readonly signer: string;
  readonly keys: readonly PlainKey[];
  readonly records: readonly PlainRecord[];
  readonly audit: readonly JournalHead[];
}

interface PlainKey {
  readonly lineage: string;
  readonly version: number;
  readonly person: string;
  readonly due_ms: number;
  readonly body: string;
}

interface PlainRecord {
  readonly kind: RecordKind;
  readonly id: string;
  readonly version: number;
  readonly body: string;
}

function plainOf(
  { chain, seq, prev, atMs, keys, records, audit }: SegmentContent,
  signer: string,
): PlainSegment {
  return {
    format: FORMAT,
    chain,
    seq,
    prev,
    at_ms: atMs,
    signer,
    keys: keys.map(({ lineage, version, person, dueMs, body }) => ({
      lineage,
      version,
      person,
      due_ms: dueMs,
      body: Buffer.from(body).toString('base64'),
    })),
    records: records.map(({ kind, id, version, body }) => ({
      kind,
      id,
      version,
      body: Buffer.from(body).toString('base64'),
    })),
    audit,
  };
}

function signedText(body: PlainSegment): string {
  return `zasov journal segment\n${canonicalJson(body as unknown as JsonValue)}`;
}
