import { GatewayError } from '../core/gateway-error.ts';
import type { RecordKind, StoredRecord } from '../store/record-store.ts';
import type { CopiedKey, Tombstone } from '../store/store-copy.ts';

/** Reads one record of an archive or of the journal. @throws GatewayError `backup_invalid`. */
export function parseRecord(value: unknown): StoredRecord {
  const { kind, id, version, body } = fieldsOf(value);
  return {
    kind: text(kind) as RecordKind,
    id: text(id),
    version: whole(version),
    body: Buffer.from(text(body), 'base64'),
  };
}

/** Reads one key of an archive or of the journal. @throws GatewayError `backup_invalid`. */
export function parseKey(value: unknown): CopiedKey {
  const { lineage, version, person, due_ms: dueMs, body, use } = fieldsOf(value);
  const key = {
    lineage: text(lineage),
    version: whole(version),
    person: text(person),
    dueMs: whole(dueMs),
    body: Buffer.from(text(body), 'base64'),
  };
  if (use === undefined) return key;
  const { at_ms: atMs, sealed } = fieldsOf(use);
  return { ...key, use: { atMs: whole(atMs), sealed: Buffer.from(text(sealed), 'base64') } };
}

/** Reads one ended session of an archive. @throws GatewayError `backup_invalid`. */
export function parseTombstone(value: unknown): Tombstone {
  const { id, created_ms: createdMs, ends_ms: endsMs, generation } = fieldsOf(value);
  return {
    id: text(id),
    createdMs: whole(createdMs),
    endsMs: whole(endsMs),
    generation: whole(generation),
  };
}

/** A record is a few KiB; a line that does not end is none. */
const LONGEST_LINE = 16 * 1024 * 1024;

/** The values of JSON lines, as they arrive. @throws GatewayError `backup_invalid`. */
export async function* readJsonLines(body: AsyncIterable<Uint8Array>): AsyncGenerator {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let rest = '';
  for await (const chunk of body) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    if (rest.length > LONGEST_LINE)
      throw new GatewayError('backup_invalid', 'a record of the archive is longer than any real one');
    for (const line of lines) if (line !== '') yield parse(line);
  }
  if (rest !== '') yield parse(rest);
}

/** Hands values on in batches, so that a store is not asked for each. */
export async function inBatches<T>(
  values: AsyncIterable<T>,
  size: number,
  take: (batch: T[]) => Promise<void>,
): Promise<number> {
  let batch: T[] = [];
  let count = 0;
  for await (const value of values) {
    batch.push(value);
    count += 1;
    if (batch.length < size) continue;
    await take(batch);
    batch = [];
  }
  if (batch.length > 0) await take(batch);
  return count;
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (error) {
    throw new GatewayError('backup_invalid', 'a record of the archive is no JSON', { cause: error });
  }
}

function fieldsOf(value: unknown): Record<string, unknown> {
  if (value === null || typeof value !== 'object') throw odd('an object', value);
  return value as Record<string, unknown>;
}

function text(value: unknown): string {
  if (typeof value !== 'string') throw odd('a text', value);
  return value;
}

function whole(value: unknown): number {
  if (!Number.isSafeInteger(value)) throw odd('a whole number', value);
  return Number(value);
}

function odd(wanted: string, value: unknown): GatewayError {
  return new GatewayError(
    'backup_invalid',
    `a record of the archive has ${typeof value} where ${wanted} belongs: it was made by another version`,
  );
}
