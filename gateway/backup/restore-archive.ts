import { createHash } from 'node:crypto';

import { GatewayError } from '../core/gateway-error.ts';
import { type ArchiveHead, parseArchiveName } from './archive-format.ts';
import { readArchive } from './read-archive.ts';
import { safePath, writeRestored } from './restore-files.ts';
import { beginInclude, type IncludeRestore } from './restore-include.ts';
import type { RestoreLoad } from './restore-load.ts';

/** An archive that can be read more than once. */
export interface ArchiveSource {
  /** Its file name. */
  readonly name: string;
  open(): AsyncIterable<Uint8Array>;
}

/** What opens an archive, and whose it must be. */
export interface ArchiveKeys {
  readonly identities: string[];
  /** Fingerprint of the key that it must be signed with. */
  readonly signer: string | undefined;
}

/** What is known of an archive once every byte of it was read and found right. */
export interface InspectedArchive {
  readonly head: ArchiveHead;
  /** Of the encrypted file. */
  readonly sha256: string;
  readonly bytes: number;
  /** The master keys, as their file had them. */
  readonly masterKey: string;
  /** Policy files by path. */
  readonly policies: ReadonlyMap<string, string>;
  /** Names of the included sources, in their order. */
  readonly includes: readonly string[];
}

/** Where the second reading puts what it finds. */
export interface RestoreSinks {
  /** Becomes the data directory. */
  readonly data: string;
  /** Becomes the directory of the audit trail. */
  readonly trail: string;
  /** Becomes the directory of the signed heads. */
  readonly heads: string;
  readonly load: RestoreLoad;
  /** Feeds a source to its command; `undefined` for one that is left out. */
  include(name: string): ((body: AsyncIterable<Uint8Array>) => Promise<void>) | undefined;
}

/** The master keys and all policies together: 200 files of 1 MiB are possible. */
const TEXT_LIMIT_BYTES = 256 * 1024 * 1024;
/** What a restore makes anew, and must not take from a backup. */
const OWN_FILES = new Set(['admin/seen', 'master.check', 'master.key']);

/**
 * First reading of a restore: every byte, every hash and the signature. Writes nothing.
 *
 * @param onBytes told of the bytes read so far.
 * @throws GatewayError `backup_invalid`, `backup_failed`.
 */
export async function inspectArchive(
  source: ArchiveSource,
  keys: ArchiveKeys,
  onBytes: (bytes: number) => void,
): Promise<InspectedArchive> {
  const policies = new Map<string, string>();
  const includes = new Set<string>();
  let masterKey: string | undefined;
  const budget = { bytes: TEXT_LIMIT_BYTES };
  const measured = measure(source.open(), onBytes);
  const { head } = await readArchive(measured.chunks, keys, async ({ path, body }) => {
    const [folder = '', ...rest] = path.split('/');
    if (path === 'secrets/master.key') masterKey = await textOf(body, budget);
    else if (folder === 'policies') policies.set(safePath(rest.join('/')), await textOf(body, budget));
    else {
      if (folder === 'include') includes.add(rest[0] ?? '');
      await drain(body);
    }
  });
  await measured.rest();
  if (masterKey === undefined)
    throw new GatewayError(
      'backup_invalid',
      `${source.name} holds no master key: it cannot be restored from`,
    );
  const named = parseArchiveName(source.name);
  // It is good in itself, and older than whoever asks for it believes.
  if (named !== undefined && named.id !== head.id)
    throw new GatewayError(
      'backup_invalid',
      `${source.name} holds another archive, made ${new Date(head.created_ms).toISOString()} with the id ${head.id}: somebody put it under this name. Take another archive, or give this one its own name back if you want that one`,
    );
  return { head, ...measured.result(), masterKey, policies, includes: [...includes] };
}

/**
 * Second reading: brings back what the archive holds.
 *
 * @param inspected of the first reading; an archive that is another meanwhile is refused.
 * @param onEntry told of each entry before it is brought back, and of the bytes read so far.
 * @throws GatewayError `backup_invalid`, `backup_failed`; the system's error when something cannot be written.
 */
export async function loadArchive(
  source: ArchiveSource,
  keys: ArchiveKeys,
  inspected: Pick<InspectedArchive, 'sha256'>,
  sinks: RestoreSinks,
  onEntry: (path: string, bytes: number) => void,
): Promise<void> {
  const includes = new IncludeSequence(sinks);
  let bytes = 0;
  const measured = measure(source.open(), (read) => (bytes = read));
  try {
    await readArchive(measured.chunks, keys, async ({ path, body }) => {
      onEntry(path, bytes);
      const taken = (await includes.take(path, body)) || (await takeEntry(path, body, sinks));
      if (!taken) await drain(body);
    });
    await measured.rest();
    if (measured.result().sha256 !== inspected.sha256)
      throw new GatewayError('backup_invalid', `${source.name} changed while it was restored from`);
    await includes.finish();
  } catch (error) {
    await includes.abandon();
    throw error;
  }
}

/** Brings one entry back. @returns whether it is one that is brought back. */
async function takeEntry(
  path: string,
  body: AsyncIterable<Uint8Array>,
  { data, trail, heads, load }: RestoreSinks,
): Promise<boolean> {
  const rest = (prefix: string) => path.slice(prefix.length);
  if (path.startsWith('data/') && !OWN_FILES.has(rest('data/')))
    await writeRestored(data, rest('data/'), body);
  else if (path.startsWith('audit/heads/')) await takeHead(heads, rest('audit/heads/'), body);
  else if (path.startsWith('audit/trail/')) await writeRestored(trail, rest('audit/trail/'), body);
  else if (path.startsWith('store/records-')) await load.takeRecords(body);
  else if (path.startsWith('store/keys-')) await load.takeKeys(body);
  else if (path.startsWith('store/sessions-')) await load.takeSessions(body);
  else return false;
  return true;
}

/** The name of the node and the locks of its writers stay behind: this is another node. */
async function takeHead(heads: string, path: string, body: AsyncIterable<Uint8Array>): Promise<void> {
  if (path.endsWith('.head')) await writeRestored(heads, path, body);
  else await drain(body);
}

/** Sources come one after the other, each in parts. */
class IncludeSequence {
  readonly #sinks: RestoreSinks;
  #current: IncludeRestore | undefined;
  #leftOut: string | undefined;

  constructor(sinks: RestoreSinks) {
    this.#sinks = sinks;
  }

  async take(path: string, body: AsyncIterable<Uint8Array>): Promise<boolean> {
    const [folder, name = ''] = path.split('/');
    if (folder !== 'include' || name === this.#leftOut) return false;
    if (this.#current?.name !== name) {
      await this.finish();
      const run = this.#sinks.include(name);
      this.#leftOut = run === undefined ? name : undefined;
      if (run === undefined) return false;
      this.#current = beginInclude(name, run);
    }
    await this.#current.take(body);
    return true;
  }

  async finish(): Promise<void> {
    const current = this.#current;
    this.#current = undefined;
    await current?.finish();
  }

  async abandon(): Promise<void> {
    await this.#current?.abandon();
    this.#current = undefined;
  }
}

/** Counts and hashes what is read. */
function measure(source: AsyncIterable<Uint8Array>, onBytes: (bytes: number) => void) {
  const digest = createHash('sha256');
  const iterator = source[Symbol.asyncIterator]();
  let bytes = 0;
  const next = async (): Promise<IteratorResult<Uint8Array>> => {
    const step = await iterator.next();
    if (step.done !== true) {
      digest.update(step.value);
      bytes += step.value.length;
      onBytes(bytes);
    }
    return step;
  };
  const chunks: AsyncIterable<Uint8Array> = {
    // Whoever stops early leaves the rest to be read; the hash is of all of it.
    [Symbol.asyncIterator]: () => ({ next }),
  };
  return {
    chunks,
    rest: async () => {
      for await (const _ of chunks);
    },
    result: () => ({ sha256: digest.digest('hex'), bytes }),
  };
}

async function textOf(body: AsyncIterable<Uint8Array>, budget: { bytes: number }): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) {
    budget.bytes -= chunk.length;
    if (budget.bytes < 0)
      throw new GatewayError('backup_invalid', 'the keys and policies in it are longer than any real ones');
    chunks.push(Buffer.from(chunk));
  }
  return Buffer.concat(chunks).toString();
}

async function drain(body: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const _ of body);
}
