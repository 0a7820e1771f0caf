import { createHash, type Hash } from 'node:crypto';

import { GatewayError } from '../core/gateway-error.ts';
import { signerFingerprint } from '../crypto/signing-key.ts';
import { type ArchiveHead, readHead } from './archive-format.ts';
import {
  HEAD_PATH,
  type Manifest,
  MANIFEST_PATH,
  type ManifestEntry,
  type ManifestSection,
  readManifest,
  sectionOf,
} from './archive-manifest.ts';
import { PathSequence, shownPath } from './archive-path.ts';
import { ByteReader } from './byte-reader.ts';
import { decryptStream } from './decrypt.ts';
import { noteFailure } from './note-failure.ts';
import { damaged, nextEntry, passPadding, readExactly } from './tar-reader.ts';
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
/** Names 1 TiB in parts of 4 MiB. */
const MANIFEST_LIMIT_BYTES = 32 * 1024 * 1024;
/** What the manifest has of an entry beside its path, at least. */
const ENTRY_BYTES = 90;

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
  const theirs: { failure?: unknown } = {};
  const decrypted = noteFailure(decryptStream(source, identities), theirs);
  const noted: ArchiveVisitor = async (entry) => {
    try {
      await visit(entry);
    } catch (error) {
      theirs.failure ??= error;
      throw error;
    }
  };
  try {
    return await readPlainArchive(decompress(decrypted), signer, noted);
  } catch (error) {
    if (theirs.failure !== undefined) throw theirs.failure;
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
      const entry = await nextEntry(reader);
      if (entry === undefined) return check.finish();
      await check.take(entry, reader, visit);
    }
  } finally {
    await reader.close();
  }
}

/** Follows what is read and compares it with the manifest. */
class ArchiveCheck {
  readonly #signer: string | undefined;
  readonly #entries: ManifestEntry[] = [];
  readonly #sections = new Map<string, { digest: Hash; records: number }>();
  readonly #paths = new PathSequence();
  #manifestBytes = 0;
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
    if (this.#manifest !== undefined) throw damaged(`${shownPath(name)} stands behind the manifest`);
    if (this.#head === undefined)
      this.#takeHead(name, bytes, await readSmall(reader, name, bytes, HEAD_LIMIT_BYTES));
    else if (name === MANIFEST_PATH)
      this.#takeManifest(await readSmall(reader, name, bytes, MANIFEST_LIMIT_BYTES));
    else {
      this.#checkPath(name);
      await this.#visit(name, bytes, reader, visit);
    }
    await passPadding(reader, bytes);
  }

  finish(): VerifiedArchive {
    if (this.#head === undefined || this.#manifest === undefined) throw damaged('its end is missing');
    return { head: this.#head, manifest: this.#manifest };
  }

  #takeHead(name: string, bytes: number, body: Buffer): void {
    if (name !== HEAD_PATH) throw damaged(`it begins with ${shownPath(name)}: it is no archive of a gateway`);
    const head = readHead(body.toString());
    if (head === undefined) throw damaged('its head cannot be read: it is of another version');
    this.#head = head;
    const is = signerFingerprint(this.#head.signer);
    if (this.#signer !== undefined && this.#signer !== is)
      throw new GatewayError(
        'backup_invalid',
        `it was made by somebody else: its signer is ${is}, and ${this.#signer} was wanted`,
      );
    const sha256 = createHash('sha256').update(body).digest('hex');
    this.#entries.push({ path: name, bytes, sha256 });
  }

  /** Before anything is made of an entry, and so before anything is written. */
  #checkPath(path: string): void {
    const says = this.#paths.take(path);
    if (says !== undefined) throw damaged(says);
    this.#manifestBytes += Buffer.byteLength(path) + ENTRY_BYTES;
    if (this.#manifestBytes > MANIFEST_LIMIT_BYTES)
      throw damaged('it has more entries than a manifest can name');
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
    const names = new Set(sections.map(({ name }) => name));
    if (names.size < sections.length || [...this.#sections.keys()].some((name) => !names.has(name)))
      throw damaged('its manifest does not name the records that are in it, each kind once');
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

async function readSmall(reader: ByteReader, name: string, bytes: number, limit: number): Promise<Buffer> {
  if (bytes > limit) throw damaged(`${shownPath(name)} is longer than it can be`);
  return await readExactly(reader, bytes, shownPath(name));
}
