import { createHash, randomUUID } from 'node:crypto';
import { createReadStream, createWriteStream, type ReadStream } from 'node:fs';
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { CrmProblem } from './crm-problem.ts';
import { REPLICATION_HEADER } from './peer-link.ts';

/** How large one upload may be. */
const FILE_LIMIT_BYTES = 1024 ** 3;
/** How much one node keeps in all. */
const SHELF_LIMIT_BYTES = 8 * 1024 ** 3;
const FETCH_TIMEOUT_MS = 120_000;

/** A file as it lies on the shelf. */
export interface ShelvedFile {
  readonly id: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}

/** Uploaded files of one node, on disk under random names. Bytes stream through; nothing is held in memory. */
export class FileShelf {
  readonly #directory: string;
  readonly #secret: string;
  readonly #fetching = new Map<string, Promise<void>>();
  #usedBytes = 0;
  #queue: Promise<void> = Promise.resolve();

  constructor(directory: string, secret: string) {
    this.#directory = directory;
    this.#secret = secret;
  }

  /** Makes the directory, and clears what a node that was killed left half written. */
  async open(): Promise<void> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    const names = await readdir(this.#directory);
    const partial = names.filter((name) => name.endsWith('.part'));
    await Promise.all(partial.map((name) => rm(this.#path(name), { force: true })));
  }

  /**
   * Stores a stream. What was written of a broken one is removed.
   *
   * @throws CrmProblem 413 above one gibibyte, 507 when the shelf is full.
   */
  async store(source: AsyncIterable<Buffer>, id: string = randomUUID()): Promise<ShelvedFile> {
    const partial = this.#path(`${id}.${randomUUID()}.part`);
    const hash = createHash('sha256');
    let sizeBytes = 0;
    const meter = new Transform({
      transform: (chunk: Buffer, _encoding, callback) => {
        sizeBytes += chunk.length;
        hash.update(chunk);
        if (sizeBytes > FILE_LIMIT_BYTES) callback(new CrmProblem(413, 'the file is too large'));
        else if (this.#usedBytes + sizeBytes > SHELF_LIMIT_BYTES)
          callback(new CrmProblem(507, 'there is no room for more files'));
        else callback(null, chunk);
      },
    });
    try {
      await pipeline(source, meter, createWriteStream(partial, { mode: 0o600 }));
      await rename(partial, this.#path(id));
    } catch (error) {
      await rm(partial, { force: true });
      throw error;
    }
    this.#usedBytes += sizeBytes;
    return { id, sizeBytes, sha256: hash.digest('hex') };
  }

  /** Whether the bytes are here. */
  async has(id: string): Promise<boolean> {
    return await stat(this.#path(id)).then(
      () => true,
      () => false,
    );
  }

  /** A part of a file; both ends are included. */
  read(id: string, start: number, end: number): ReadStream {
    return createReadStream(this.#path(id), { start, end });
  }

  /** Forgets a file's bytes. */
  async remove(id: string): Promise<void> {
    const path = this.#path(id);
    const present = await stat(path).catch(() => undefined);
    await rm(path, { force: true });
    this.#usedBytes -= present?.size ?? 0;
  }

  /** Copies a file from a peer some time soon, one after another, unless it is here. */
  fetchLater(id: string, peers: () => readonly string[]): void {
    this.#queue = this.#queue.then(() => this.fetchNow(id, peers()));
  }

  /** Copies a file from the first peer that has it. Never rejects; {@link has} tells whether it came. */
  async fetchNow(id: string, peers: readonly string[]): Promise<void> {
    if (await this.has(id)) return;
    const underWay =
      this.#fetching.get(id) ?? this.#fetch(id, peers).finally(() => this.#fetching.delete(id));
    this.#fetching.set(id, underWay);
    await underWay;
  }

  async #fetch(id: string, peers: readonly string[]): Promise<void> {
    for (const peer of peers) {
      try {
        const answer = await fetch(`${peer}/replication/files/${id}`, {
          headers: { [REPLICATION_HEADER]: this.#secret },
          redirect: 'error',
          signal: AbortSignal.timeout(FETCH_TIMEOUT_MS),
        });
        if (answer.ok && answer.body !== null) {
          await this.store(Readable.from(answer.body), id);
          return;
        }
        await answer.body?.cancel();
      } catch {
        // The next peer may have it, or the next download asks again.
      }
    }
  }

  #path(name: string): string {
    if (!/^[\w.-]+$/.test(name)) throw new CrmProblem(404, 'no such file');
    return join(this.#directory, name);
  }
}
