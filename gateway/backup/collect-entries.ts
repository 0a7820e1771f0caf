import { createReadStream } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, join, relative } from 'node:path';

import type { StoreCopy } from '../store/store-copy.ts';
import { oneChunk } from './one-chunk.ts';
import type { ArchiveEntry } from './write-archive.ts';

/** A source that goes into an archive beside the state. */
interface IncludedSource {
  readonly name: string;
  open(): AsyncIterable<Uint8Array>;
}

/** What an archive is collected from. */
export interface Collection {
  /** The data directory. */
  readonly data: string;
  /** The directories of the audit trail and of its heads. */
  readonly trail: string;
  readonly heads: string;
  /** The policies in force, by file name. */
  readonly policies: readonly { readonly name: string; readonly text: string }[];
  /** The master keys, as they were read. */
  readonly masterKey: string;
  /** Absent from the archive of one node: the store is the fleet's. */
  readonly store: StoreCopy | undefined;
  readonly includes: readonly IncludedSource[];
}

/** Not copied as files: stores, the trail, what belongs to one process, and what a restore makes anew. */
const OWN = new Set([
  'audit',
  'audit-heads',
  'backup',
  'control.sock',
  'master.key',
  'policies-in-force',
  'policies-kept',
  'restore-approved',
  'restore.unfinished',
]);
const PASSING = /\.(?:db|db-wal|db-shm|db-journal|sock|lock|tmp|log|restore)$|^before-restore-|^\.restore$/;

/** Everything that goes into an archive, in its order; the ends of the trail before the trail. */
export async function* collectEntries(from: Collection): AsyncGenerator<ArchiveEntry> {
  yield text('secrets/master.key', from.masterKey);
  for (const policy of from.policies) yield text(`policies/${policy.name}`, policy.text);
  const heads = await readAll(from.heads, (name) => name.endsWith('.head'));
  for (const [name, bytes] of heads) yield whole(`audit/heads/${name}`, bytes);
  for (const entry of await filesOf(from.trail, (name) => name.endsWith('.jsonl')))
    yield { ...entry, path: `audit/trail/${entry.path}` };
  for (const entry of await filesOf(from.data, (path, entryName) => !isOwn(path, entryName, from)))
    yield { ...entry, path: `data/${entry.path}` };
  if (from.store !== undefined) yield* storeEntries(from.store);
  for (const source of from.includes)
    yield {
      stream: (part) => `include/${source.name}/${String(part).padStart(6, '0')}`,
      open: () => source.open(),
    };
}

/** The records of a store, as an archive has them. */
export function* storeEntries(
  store: StoreCopy,
): Generator<{ readonly section: string; open(): AsyncIterable<string> }> {
  yield {
    section: 'records',
    open: () =>
      lines(store.records(), ({ kind, id, version, body }) => ({ kind, id, version, body: base64(body) })),
  };
  yield {
    section: 'keys',
    open: () =>
      lines(store.keys(), ({ lineage, version, person, dueMs, body, use }) => ({
        lineage,
        version,
        person,
        due_ms: dueMs,
        body: base64(body),
        use: use && { at_ms: use.atMs, sealed: base64(use.sealed) },
      })),
  };
  yield {
    section: 'sessions',
    open: () =>
      lines(store.sessions(), ({ id, createdMs, endsMs, generation }) => ({
        id,
        created_ms: createdMs,
        ends_ms: endsMs,
        generation,
      })),
  };
}

function isOwn(path: string, name: string, { data, trail }: Collection): boolean {
  const [top = ''] = path.split('/');
  const inTrail = relative(trail, join(data, path));
  return OWN.has(top) || PASSING.test(name) || PASSING.test(top) || !inTrail.startsWith('..');
}

async function filesOf(
  directory: string,
  isWanted: (path: string, name: string) => boolean,
): Promise<(ArchiveEntry & { path: string; bytes: number })[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(noneThere);
  const found = [];
  for (const entry of entries) {
    const file = join(entry.parentPath, entry.name);
    const path = relative(directory, file);
    if (!entry.isFile() || !isWanted(path, entry.name)) continue;
    // What was there a moment ago and is not any more was passing.
    const [facts] = await stat(file).then((one) => [one], noneThere);
    if (facts === undefined) continue;
    const { size } = facts;
    found.push({
      path,
      bytes: size,
      open: () =>
        (size === 0 ? nothing() : createReadStream(file, { end: size - 1 })) as AsyncIterable<Uint8Array>,
    });
  }
  return found.toSorted((one, other) => (one.path < other.path ? -1 : 1));
}

async function readAll(directory: string, isWanted: (name: string) => boolean): Promise<[string, Buffer][]> {
  const names = await readdir(directory).catch(noneThere);
  const wanted = names.filter(isWanted).toSorted();
  return await Promise.all(
    wanted.map(async (name): Promise<[string, Buffer]> => [
      basename(name),
      await readFile(join(directory, name)),
    ]),
  );
}

function noneThere(error: unknown): [] {
  if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
  throw error;
}

async function* lines<T>(values: AsyncIterable<T>, shape: (value: T) => object): AsyncGenerator<string> {
  for await (const value of values) yield JSON.stringify(shape(value));
}

function text(path: string, value: string): ArchiveEntry {
  return whole(path, Buffer.from(value));
}

function whole(path: string, bytes: Buffer): ArchiveEntry {
  return { path, bytes: bytes.length, open: () => oneChunk(bytes) };
}

async function* nothing(): AsyncGenerator<Uint8Array> {
  // An empty file.
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}
