import { createHash } from 'node:crypto';

import { chunkGarbage } from '../core/chunk-garbage.ts';
import { GatewayError } from '../core/gateway-error.ts';
import type { Signer } from '../crypto/signing-key.ts';
import type { ArchiveHead } from './archive-format.ts';
import {
  HEAD_PATH,
  type Manifest,
  MANIFEST_PATH,
  type ManifestEntry,
  type ManifestSection,
  writeManifest,
} from './archive-manifest.ts';
import { PathSequence } from './archive-path.ts';
import { encryptStream } from './encrypt.ts';
import { padding, tarEnd, tarHeader } from './tar-format.ts';
import { compress } from './zstd-stream.ts';

/** One thing that goes into an archive. */
export type ArchiveEntry =
  /** A file whose size is known: exactly so many bytes of it are taken. */
  | { readonly path: string; readonly bytes: number; open(): AsyncIterable<Uint8Array> }
  /** A stream of unknown length, in parts; `path` gets the number of the part. It must not be empty. */
  | { readonly stream: (part: number) => string; open(): AsyncIterable<Uint8Array> }
  /** Records, a line each; parts end with a line. */
  | { readonly section: string; open(): AsyncIterable<string> };

/** How far an archive has come. */
interface WriteProgress {
  /** Before compression. */
  readonly plainBytes: number;
  readonly path: string;
}

/** What an archive is made of. */
export interface WriteOptions {
  readonly head: ArchiveHead;
  readonly entries: AsyncIterable<ArchiveEntry> | Iterable<ArchiveEntry>;
  readonly recipients: readonly string[];
  readonly signer: Signer;
  /** Takes the same tar before it is compressed; the archive waits for it. */
  readonly onPlain?: (chunk: Uint8Array) => Promise<void> | void;
  readonly onProgress?: (progress: WriteProgress) => void;
}

const PART_BYTES = 4 * 1024 * 1024;
const BLOCK_BYTES = 64 * 1024;
const PART_BLOCKS = PART_BYTES / BLOCK_BYTES;
/** As a byte comes, as it is gathered, compressed, and encrypted: so often it becomes garbage. */
const COPIES = 4;
const PIECE_CHARACTERS = 64 * 1024;

/**
 * Writes an archive: a tar, compressed (zstd), encrypted (age). Nothing of it is held but a part of 4 MiB.
 *
 * @returns the encrypted stream, and the manifest once the stream is at its end.
 */
export function writeArchive(options: WriteOptions): {
  readonly stream: AsyncIterable<Uint8Array>;
  readonly manifest: () => Manifest;
} {
  const writer = new TarWriter(options);
  return {
    stream: encryptStream(compress(writer.chunks()), options.recipients),
    manifest: () => writer.manifest,
  };
}

class TarWriter {
  readonly #options: WriteOptions;
  readonly #entries: ManifestEntry[] = [];
  readonly #sections: ManifestSection[] = [];
  readonly #paths = new PathSequence();
  #plainBytes = 0;

  constructor(options: WriteOptions) {
    this.#options = options;
  }

  get manifest(): Manifest {
    return { format: 1, id: this.#options.head.id, entries: this.#entries, sections: this.#sections };
  }

  async *chunks(): AsyncGenerator<Uint8Array> {
    const { onPlain, head, signer } = this.#options;
    for await (const chunk of this.#tar(head, signer)) {
      await onPlain?.(chunk);
      yield chunk;
    }
  }

  async *#tar(head: ArchiveHead, signer: Signer): AsyncGenerator<Uint8Array> {
    yield* this.#named(HEAD_PATH, [Buffer.from(`${JSON.stringify(head)}\n`)]);
    for await (const entry of this.#options.entries) {
      if ('section' in entry) yield* this.#section(entry.section, entry.open());
      else if ('stream' in entry) yield* this.#parts(entry.stream, entry.open());
      else yield* this.#file(entry.path, entry.bytes, entry.open());
    }
    const text = Buffer.from(writeManifest(this.manifest, signer));
    yield* this.#bytes(MANIFEST_PATH, [text]);
    yield tarEnd();
  }

  async *#section(name: string, lines: AsyncIterable<string>): AsyncGenerator<Uint8Array> {
    const digest = createHash('sha256');
    let records = 0;
    let part = 0;
    let pieces: Buffer[] = [];
    let bytes = 0;
    const path = () => `store/${name}-${String((part += 1)).padStart(5, '0')}.jsonl`;
    for await (const { piece, lines: count } of inPieces(lines)) {
      records += count;
      digest.update(piece);
      pieces.push(piece);
      bytes += piece.length;
      if (bytes < PART_BYTES) continue;
      yield* this.#whole(path(), pieces);
      pieces = [];
      bytes = 0;
    }
    if (bytes > 0) yield* this.#whole(path(), pieces);
    this.#sections.push({ name, records, sha256: digest.digest('hex') });
  }

  async *#parts(path: (part: number) => string, body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    let part = 0;
    let blocks: Buffer[] = [];
    for await (const block of inBlocks(body)) {
      blocks.push(block);
      if (blocks.length < PART_BLOCKS) continue;
      yield* this.#whole(path((part += 1)), blocks);
      blocks = [];
    }
    if (blocks.length > 0) yield* this.#whole(path((part += 1)), blocks);
  }

  async *#file(path: string, bytes: number, body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    const digest = createHash('sha256');
    let taken = 0;
    this.#checkPath(path);
    yield this.#count(path, tarHeader(path, bytes, this.#options.head.created_ms));
    for await (const chunk of body) {
      const piece = chunk.subarray(0, bytes - taken);
      if (piece.length === 0) break;
      taken += piece.length;
      digest.update(piece);
      yield this.#count(path, piece);
    }
    if (taken !== bytes)
      throw new GatewayError(
        'backup_failed',
        `${path} became shorter while it was copied: ${taken} of ${bytes} bytes`,
      );
    yield padding(bytes);
    this.#entries.push({ path, bytes, sha256: digest.digest('hex') });
  }

  /** What a reader would refuse is not written. */
  #checkPath(path: string): void {
    const says = this.#paths.take(path);
    if (says !== undefined)
      throw new GatewayError('backup_failed', `an archive cannot hold what is to go in: ${says}`);
  }

  *#whole(path: string, pieces: readonly Uint8Array[]): Generator<Uint8Array> {
    this.#checkPath(path);
    yield* this.#named(path, pieces);
  }

  *#named(path: string, pieces: readonly Uint8Array[]): Generator<Uint8Array> {
    const digest = createHash('sha256');
    for (const piece of pieces) digest.update(piece);
    this.#entries.push({ path, bytes: lengthOf(pieces), sha256: digest.digest('hex') });
    yield* this.#bytes(path, pieces);
  }

  *#bytes(path: string, pieces: readonly Uint8Array[]): Generator<Uint8Array> {
    const bytes = lengthOf(pieces);
    yield tarHeader(path, bytes, this.#options.head.created_ms);
    for (const piece of pieces) yield this.#count(path, piece);
    yield padding(bytes);
  }

  #count<T extends Uint8Array>(path: string, chunk: T): T {
    this.#plainBytes += chunk.length;
    chunkGarbage.count(COPIES * chunk.length);
    this.#options.onProgress?.({ plainBytes: this.#plainBytes, path });
    return chunk;
  }
}

/** Gathers what a source writes, however small its writes are; only the last block is not full. */
async function* inBlocks(body: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  let block = Buffer.allocUnsafe(BLOCK_BYTES);
  let filled = 0;
  for await (const chunk of body) {
    for (let from = 0; from < chunk.length;) {
      const piece = chunk.subarray(from, from + BLOCK_BYTES - filled);
      block.set(piece, filled);
      filled += piece.length;
      from += piece.length;
      if (filled < BLOCK_BYTES) continue;
      yield block;
      block = Buffer.allocUnsafe(BLOCK_BYTES);
      filled = 0;
    }
  }
  if (filled > 0) yield block.subarray(0, filled);
}

/** Gathers lines, so that their texts are gone before they grow old: what grew old is long in being collected. */
async function* inPieces(
  lines: AsyncIterable<string>,
): AsyncGenerator<{ readonly piece: Buffer; readonly lines: number }> {
  let text = '';
  let count = 0;
  for await (const line of lines) {
    text += `${line}\n`;
    count += 1;
    if (text.length < PIECE_CHARACTERS) continue;
    yield { piece: Buffer.from(text), lines: count };
    text = '';
    count = 0;
  }
  if (count > 0) yield { piece: Buffer.from(text), lines: count };
}

function lengthOf(pieces: readonly Uint8Array[]): number {
  return pieces.reduce((sum, { length }) => sum + length, 0);
}
