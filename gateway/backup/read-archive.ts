import { createHash, type Hash } from 'node:crypto';

import { GatewayError } from '../core/gateway-error.ts';
import { signerFingerprint } from '../crypto/signing-key.ts';
import type { ArchiveHead } from './archive-format.ts';
import {
  HEAD_PATH,
  type Manifest,
  MANIFEST_PATH,
  type ManifestEntry,
  type ManifestSection,
  readManifest,
  sectionOf,
} from './archive-manifest.ts';
import { ByteReader } from './byte-reader.ts';
import { decryptStream } from './decrypt.ts';
import { BLOCK_BYTES, paxName, readTarHeader } from './tar-format.ts';
import { decompress } from './zstd-stream.ts';

/** One entry as it is read. */
export interface ReadEntry {
  readonly path: string;
  readonly bytes: number;
  /** What is not read of it is passed over, and hashed all the same. */
  readonly body: AsyncIterable<Uint8Array>;
}

/** Takes entries in their order; what it throws is thrown. */
export type ArchiveVisitor = (entry: ReadEntry) => Promise<void>;

/** An archive of which every byte was right. */
export interface VerifiedArchive {
  readonly head: ArchiveHead;
  readonly manifest: Manifest;
}

const HEAD_LIMIT_BYTES = 64 * 1024;
const MANIFEST_LIMIT_BYTES = 256 * 1024 * 1024;

/**
 * Reads an archive from its first byte to its last. Entries are handed out before the manifest at the end has vouched
 * for them: whoever acts on them has read the archive once before, or can take back what was done.
 *
 * @param signer fingerprint of the key that it must be signed with; without one, whoever made it has signed it.
 * @throws GatewayError `backup_invalid` for whatever is not as it was written; what the source or the visitor throws.
 */
export async function readArchive(
  source: AsyncIterable<Uint8Array>,
  { identities, signer }: { readonly identities: readonly string[]; readonly signer?: string | undefined },
  visit: ArchiveVisitor,
): Promise<VerifiedArchive> {
  const failed: { theirs?: unknown } = {};
  const decrypted = noteFailure(decryptStream(source, identities), failed);
  const noted: ArchiveVisitor = async (entry) => {
    try {
      await visit(entry);
    } catch (error) {
      failed.theirs ??= error;
      throw error;
    }
  };
  try {
    return await readPlainArchive(decompress(decrypted), signer, noted);
  } catch (error) {
    if (failed.theirs !== undefined) throw failed.theirs;
    throw error instanceof GatewayError ? error : damaged(error);
  }
}

/** The same from the tar alone. @throws as {@link readArchive}. */
export async function readPlainArchive(
  plain: AsyncIterable<Uint8Array>,
  signer: string | undefined,
  visit: ArchiveVisitor,
): Promise<VerifiedArchive> {
  const check = new ArchiveCheck(signer);
  const reader = new ByteReader(plain);
  try {
    for (;;) {
      const header = await nextHeader(reader);
      if (header === undefined) break;
      await check.take(header, reader, visit);
    }
    if (!(await reader.drain())) throw damaged('there is more behind its end');
    return check.finish();
  } finally {
    await reader.close();
  }
}

/** Follows what is read and compares it with the manifest. */
class ArchiveCheck {
  readonly #signer: string | undefined;
  readonly #entries: ManifestEntry[] = [];
  readonly #sections = new Map<string, { digest: Hash; records: number }>();
  #head: ArchiveHead | undefined;
  #manifest: Manifest | undefined;

  constructor(signer: string | undefined) {
    this.#signer = signer;
  }

  async take(
    { name, bytes }: { name: string; bytes: number },
    reader: ByteReader,
    visit: ArchiveVisitor,
  ): Promise<void> {
    if (this.#manifest !== undefined) throw damaged(`${name} stands behind the manifest`);
    if (this.#head === undefined)
      this.#takeHead(name, bytes, await readSmall(reader, name, bytes, HEAD_LIMIT_BYTES));
    else if (name === MANIFEST_PATH)
      this.#takeManifest(await readSmall(reader, name, bytes, MANIFEST_LIMIT_BYTES));
    else await this.#visit(name, bytes, reader, visit);
    await reader.read((BLOCK_BYTES - (bytes % BLOCK_BYTES)) % BLOCK_BYTES);
  }

  finish(): VerifiedArchive {
    if (this.#head === undefined || this.#manifest === undefined) throw damaged('its end is missing');
    return { head: this.#head, manifest: this.#manifest };
  }

  #takeHead(name: string, bytes: number, body: Buffer): void {
    if (name !== HEAD_PATH) throw damaged(`it begins with ${name}: it is no archive of a gateway`);
    this.#head = parseHead(body);
    const is = signerFingerprint(this.#head.signer);
    if (this.#signer !== undefined && this.#signer !== is)
      throw new GatewayError(
        'backup_invalid',
        `it was made by somebody else: its signer is ${is}, and ${this.#signer} was wanted`,
      );
    const sha256 = createHash('sha256').update(body).digest('hex');
    this.#entries.push({ path: name, bytes, sha256 });
  }

  #takeManifest(body: Buffer): void {
    const { id, signer } = this.#head ?? { id: '', signer: '' };
    const manifest = readManifest(body.toString(), signer);
    if (manifest === undefined) throw damaged('the signature of its manifest is wrong');
    if (manifest.id !== id) throw damaged('its manifest is of another archive');
    this.#compare(manifest);
    this.#manifest = manifest;
  }

  #compare({ entries, sections }: Manifest): void {
    for (const [index, { path, bytes, sha256 }] of this.#entries.entries()) {
      const wanted = entries[index];
      const isSame = wanted?.path === path && wanted.bytes === bytes && wanted.sha256 === sha256;
      if (!isSame) throw damaged(`${path} is not what the manifest says`);
    }
    const missing = entries[this.#entries.length];
    if (missing !== undefined) throw damaged(`${missing.path} is missing`);
    for (const section of sections) this.#compareSection(section);
  }

  #compareSection({ name, records, sha256 }: ManifestSection): void {
    const found = this.#sections.get(name);
    const hash = (found?.digest ?? createHash('sha256')).digest('hex');
    if (hash !== sha256 || (found?.records ?? 0) !== records)
      throw damaged(`the records of "${name}" are not what the manifest says`);
  }

  async #visit(path: string, bytes: number, reader: ByteReader, visit: ArchiveVisitor): Promise<void> {
    const digest = createHash('sha256');
    const section = this.#section(path);
    let taken = 0;
    async function* hashed(): AsyncGenerator<Uint8Array> {
      for await (const chunk of reader.take(bytes - taken)) {
        taken += chunk.length;
        digest.update(chunk);
        if (section !== undefined) {
          section.digest.update(chunk);
          section.records += chunk.reduce((lines, byte) => (byte === 10 ? lines + 1 : lines), 0);
        }
        yield chunk;
      }
    }
    await visit({ path, bytes, body: hashed() });
    for await (const _ of hashed());
    if (taken < bytes) throw damaged(`it ends in the middle of ${path}`);
    this.#entries.push({ path, bytes, sha256: digest.digest('hex') });
  }

  #section(path: string): { digest: Hash; records: number } | undefined {
    const name = sectionOf(path);
    if (name === undefined) return undefined;
    const section = this.#sections.get(name) ?? { digest: createHash('sha256'), records: 0 };
    this.#sections.set(name, section);
    return section;
  }
}

async function nextHeader(reader: ByteReader): Promise<{ name: string; bytes: number } | undefined> {
  const block = await reader.read(BLOCK_BYTES);
  if (block.length < BLOCK_BYTES) throw damaged('its end is missing');
  const header = readTarHeader(block);
  if (header === undefined || header.type === '0') return header;
  if (header.type !== 'x') throw damaged(`${header.name} is no file`);
  const record = await readSmall(reader, 'a header', header.bytes, HEAD_LIMIT_BYTES);
  await reader.read((BLOCK_BYTES - (header.bytes % BLOCK_BYTES)) % BLOCK_BYTES);
  const next = await nextHeader(reader);
  return next && { ...next, name: paxName(record) ?? next.name };
}

async function readSmall(reader: ByteReader, name: string, bytes: number, limit: number): Promise<Buffer> {
  if (bytes > limit) throw damaged(`${name} is longer than it can be`);
  const body = await reader.read(bytes);
  if (body.length < bytes) throw damaged(`it ends in the middle of ${name}`);
  return body;
}

function parseHead(body: Buffer): ArchiveHead {
  try {
    const head = JSON.parse(body.toString()) as ArchiveHead;
    if (head.format === 1 && typeof head.id === 'string' && typeof head.signer === 'string') return head;
  } catch {
    // Said below.
  }
  throw damaged('its head cannot be read: it is of another version');
}

async function* noteFailure(
  source: AsyncIterable<Uint8Array>,
  failed: { theirs?: unknown },
): AsyncGenerator<Uint8Array> {
  try {
    yield* source;
  } catch (error) {
    failed.theirs ??= error;
    throw error;
  }
}

function damaged(what: unknown): GatewayError {
  const says = what instanceof Error ? what.message : String(what);
  return new GatewayError('backup_invalid', `the archive is not what was written: ${says}`, { cause: what });
}
