import { mkdir, open, readdir, readFile } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';

import { canonicalJson } from '../core/canonical-json.ts';
import type { AuditKeys, TrailVerifier } from './audit-keys.ts';

/** How far a writer has come: signed with every write, and kept apart from the trail, so that a cut end is seen. */
export interface TrailHead {
  readonly writer: string;
  /** The last record. */
  readonly seq: number;
  readonly hash: string;
  /** The file that holds it, and where that record ends. */
  readonly file: string;
  readonly bytes: number;
  /** The directory of the trail. */
  readonly directory: string;
}

/** What was found in place of a head, or beside it. */
export type HeadReading =
  | { readonly kind: 'good' | 'unknown_key'; readonly head: TrailHead }
  | { readonly kind: 'missing' | 'damaged' };

/** Two places that are written in turn: one that is torn by a loss of power leaves the other. */
const PLACE_BYTES = 4096;
const SUFFIX = '.head';

/** Where the heads of a data directory are. */
export function headsDirectory(data: string): string {
  return join(data, 'audit-heads');
}

/** Keeps the head of one writer. */
export class HeadFile {
  readonly #path: string;
  readonly #keys: AuditKeys;
  #file: FileHandle | undefined;
  #turn = 0;

  constructor(heads: string, writer: string, keys: AuditKeys) {
    this.#path = join(heads, writer + SUFFIX);
    this.#keys = keys;
  }

  /** Opens the file with the room that it needs, so that later writes ask the disk for none. */
  async open(): Promise<void> {
    if (this.#file !== undefined) return;
    await mkdir(join(this.#path, '..'), { recursive: true, mode: 0o700 });
    const file = await open(this.#path, 'a+', 0o600).then(async (made) => {
      await made.close();
      return await open(this.#path, 'r+');
    });
    const { size } = await file.stat();
    if (size < 2 * PLACE_BYTES)
      await file.write(Buffer.alloc(2 * PLACE_BYTES - size, ' '), 0, undefined, size);
    this.#file = file;
  }

  /** Signs and writes how far the writer has come. @param isFlushed whether it must outlive a loss of power. */
  async write(head: TrailHead, isFlushed: boolean): Promise<void> {
    const key = this.#keys.keyName;
    const signature = this.#keys.sign(textOf(head));
    const { writer, seq, hash, file, bytes, directory } = head;
    const text = canonicalJson({ writer, seq, hash, file, bytes, directory, key, signature });
    const place = Buffer.alloc(PLACE_BYTES, ' ');
    place.write(text);
    place.write('\n', PLACE_BYTES - 1);
    this.#turn += 1;
    await this.#file?.write(place, 0, PLACE_BYTES, (this.#turn % 2) * PLACE_BYTES);
    if (isFlushed) await this.#file?.datasync();
  }

  async close(): Promise<void> {
    await this.#file?.close();
    this.#file = undefined;
  }
}

/** Reads the newest head of a writer that its signature vouches for. */
export async function readHead(
  heads: string,
  writer: string,
  keys: Pick<TrailVerifier, 'checkSignature'>,
): Promise<HeadReading> {
  const bytes = await readFile(join(heads, writer + SUFFIX)).catch(() => undefined);
  if (bytes === undefined) return { kind: 'missing' };
  const places = [bytes.subarray(0, PLACE_BYTES), bytes.subarray(PLACE_BYTES, 2 * PLACE_BYTES)];
  const readings = places.flatMap((place) => readPlace(place.toString().trim(), writer, keys));
  const [newest] = readings.toSorted((one, other) => other.head.seq - one.head.seq);
  if (newest !== undefined) return newest;
  // A file that was made in the moment before a crash says nothing.
  return bytes.every((byte) => byte === 0x20 || byte === 0) ? { kind: 'missing' } : { kind: 'damaged' };
}

/** The writers that have a head here. */
export async function listHeads(heads: string): Promise<string[]> {
  const names = await readdir(heads).catch(() => []);
  return names.filter((name) => name.endsWith(SUFFIX)).map((name) => name.slice(0, -SUFFIX.length));
}

function readPlace(text: string, writer: string, keys: Pick<TrailVerifier, 'checkSignature'>) {
  try {
    const { key, signature, ...head } = JSON.parse(text) as TrailHead & { key: string; signature: string };
    const check = keys.checkSignature(key, textOf(head), signature);
    if (check === 'bad' || head.writer !== writer) return [];
    return [{ kind: check === 'good' ? ('good' as const) : ('unknown_key' as const), head }];
  } catch {
    return [];
  }
}

function textOf({ writer, seq, hash, file, bytes, directory }: TrailHead): string {
  return `zasov audit head\n${canonicalJson({ writer, seq, hash, file, bytes, directory })}`;
}
