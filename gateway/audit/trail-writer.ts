import { mkdir, open, unlink } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import type { AuditFacts } from '../core/audit-event.ts';
import type { Clock } from '../core/clock.ts';
import type { AuditKeys } from './audit-keys.ts';
import type { AuditEntry, EntryWriter } from './audit-queue.ts';
import {
  bodyText,
  hashOf,
  isCheckpoint,
  lineOf,
  type RecordBody,
  safeFacts,
  signedText,
} from './audit-record.ts';
import { recoverTrail } from './recover-trail.ts';
import { trailFileName } from './trail-file.ts';
import { HeadFile, listHeads, readHead } from './trail-head.ts';
import { takeWriterSlot, type WriterSlot } from './writer-slot.ts';

/** What a writer is made of. */
export interface TrailWriterOptions {
  /** The directory of the trail; made when missing. */
  readonly directory: string;
  /** What the heads say that directory is, where it is about to be moved. Default as it is. */
  readonly movesTo?: string;
  /** The directory of the heads. */
  readonly heads: string;
  readonly keys: AuditKeys;
  readonly clock: Clock;
  /** What the first record of this process tells of it. */
  readonly process: AuditFacts;
  /** Told of each signed checkpoint, which is worth keeping elsewhere. */
  readonly signed: (facts: { writer: string; seq: number; hash: string }) => void;
  /** A file that has grown so long is followed by the next. Default 16 MiB. */
  readonly fileBytes?: number;
}

interface OpenFile {
  readonly handle: FileHandle;
  readonly path: string;
  readonly name: string;
  readonly day: string;
  bytes: number;
}

/** The end of the chain, as it is and as it will be when what is being made is written. */
interface ChainEnd {
  readonly seq: number;
  readonly hash: string;
}

const FILE_BYTES = 16 * 1024 * 1024;
const CHECKPOINT_MS = 60_000;
const DAY_LENGTH = 10;

/**
 * Writes the trail of one process: a chain of records in files of its own, which later processes carry on. Each call
 * is one write and one flush, then the head is signed. After a failure the file is given up and the chain taken up
 * anew from what is really on the disk.
 */
export class TrailWriter implements EntryWriter {
  readonly #options: TrailWriterOptions;
  #slot: WriterSlot | undefined;
  #head: HeadFile | undefined;
  #end: ChainEnd | undefined;
  #file: OpenFile | undefined;
  #nextFile = 1;
  /** Whether this process has written before, so that it takes up its own chain. */
  #wasWriting = false;
  /** What the next file must begin with: why the chain is taken up. */
  #opening: AuditFacts | undefined;
  /** First and last number of records whose write failed, and which may be on the disk nevertheless. */
  #failed: { readonly from: number; readonly to: number } | undefined;
  /** The last record that is durable and under the signed head. */
  #durableSeq = 0;
  #signedSeq = 0;
  #signedMs = Number.NEGATIVE_INFINITY;

  constructor(options: TrailWriterOptions) {
    this.#options = options;
    this.#takeSlot();
  }

  /** A minute is over since the last checkpoint, and records were written in it. */
  get isDue(): boolean {
    const isSigned = this.#end === undefined || this.#end.seq === this.#signedSeq;
    return !isSigned && this.#options.clock.now() - this.#signedMs >= CHECKPOINT_MS;
  }

  async append(entries: readonly AuditEntry[]): Promise<number> {
    try {
      await this.#prepare();
      const lines: string[] = [];
      if (this.#opening !== undefined) lines.push(this.#make('trail.opened', this.#opening));
      const first = this.#chain.seq + 1;
      for (const entry of entries) lines.push(await this.#enter(entry));
      const isSigned = this.isDue;
      if (isSigned) lines.push(await this.#sign('trail.checkpoint', {}));
      await this.#write(lines, isSigned);
      this.#opening = undefined;
      this.#failed = undefined;
      return first;
    } catch (error) {
      await this.#giveUp();
      throw error;
    }
  }

  async finish(): Promise<void> {
    try {
      if (this.#file !== undefined) await this.#write([await this.#sign('trail.closed', {})], true);
    } finally {
      await this.#file?.handle.close();
      this.#file = undefined;
      await this.#head?.close();
      this.#slot?.release();
    }
  }

  /** Held from the start on, as far as the disk allows; a process that only reads would never get one otherwise. */
  #takeSlot(): WriterSlot | undefined {
    try {
      this.#slot ??= takeWriterSlot(this.#options.heads);
    } catch {
      // The next write tries again, and tells.
    }
    return this.#slot;
  }

  async #prepare(): Promise<void> {
    const { directory, heads, keys } = this.#options;
    this.#slot ??= takeWriterSlot(heads);
    const { writer } = this.#slot;
    this.#head ??= new HeadFile(heads, writer, keys);
    await this.#head.open();
    if (this.#end === undefined) {
      const { seq, hash, nextFile, facts } = await recoverTrail({ directory, heads, writer, keys });
      this.#end = { seq, hash };
      this.#nextFile = nextFile;
      const resumed = this.#wasWriting ? true : undefined;
      this.#opening = { ...this.#options.process, resumed, ...facts, ...this.#survivors(seq) };
      this.#durableSeq = seq;
      this.#signedSeq = seq;
    }
    if (this.#file !== undefined && this.#isOver(this.#file)) await this.#rotate(this.#file);
    this.#file ??= await this.#begin(writer);
  }

  /** Records of a failed write that are there after all: what they stand for was refused, or stands again below. */
  #survivors(seq: number): AuditFacts {
    const failed = this.#failed;
    if (failed === undefined || seq < failed.from) return {};
    return { void_from: failed.from, void_to: Math.min(seq, failed.to) };
  }

  #isOver({ bytes, day }: OpenFile): boolean {
    return bytes >= (this.#options.fileBytes ?? FILE_BYTES) || day !== this.#today();
  }

  #today(): string {
    return new Date(this.#options.clock.now()).toISOString().slice(0, DAY_LENGTH);
  }

  async #rotate(file: OpenFile): Promise<void> {
    const next = trailFileName(this.#slot?.writer ?? '', this.#nextFile);
    await this.#write([await this.#sign('trail.rotated', { next })], true);
    this.#file = undefined;
    await file.handle.close();
  }

  async #begin(writer: string): Promise<OpenFile> {
    const { directory } = this.#options;
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const name = trailFileName(writer, this.#nextFile);
    const path = join(directory, name);
    const handle = await open(path, 'ax', 0o600);
    this.#nextFile += 1;
    const file = { handle, path, name, day: this.#today(), bytes: 0 };
    // The name of a file is durable only when its directory is.
    const parent = await open(dirname(path), 'r');
    try {
      await parent.sync();
    } finally {
      await parent.close();
    }
    return file;
  }

  #factsOf({ facts, person }: AuditEntry): AuditFacts {
    if (person === undefined) return facts;
    const { account, subject } = person;
    return { ...facts, account, person: this.#options.keys.person(account, subject) };
  }

  /** What vouches for other chains is signed; all else is covered by the next checkpoint. */
  async #enter(entry: AuditEntry): Promise<string> {
    const facts = this.#factsOf(entry);
    return isCheckpoint(entry)
      ? await this.#sign(entry.event, facts)
      : this.#make(entry.event, facts, entry.atMs);
  }

  /** Makes the next record of the chain. */
  #make(event: string, facts: AuditFacts, atMs = this.#options.clock.now()): string {
    return this.#bind({ ...this.#next(event, atMs), facts: safeFacts(facts) });
  }

  /** Makes a record that vouches for everything before it, and for how far the other writers of this place were. */
  async #sign(event: string, facts: AuditFacts): Promise<string> {
    const others = await this.#others();
    const body = { ...this.#next(event, this.#options.clock.now()), facts: safeFacts({ ...facts, others }) };
    const { keys } = this.#options;
    const named = { ...body, facts: { ...body.facts, key: keys.keyName } };
    const signature = keys.sign(signedText(named));
    return this.#bind({ ...named, facts: { ...named.facts, signature } });
  }

  #next(event: string, atMs: number): Omit<RecordBody, 'facts'> {
    const { seq, hash } = this.#chain;
    const time = new Date(atMs).toISOString();
    return { event, prev: hash, seq: seq + 1, time, writer: this.#slot?.writer ?? '' };
  }

  #bind(body: RecordBody): string {
    const coded = { ...body, mac: this.#options.keys.mac(bodyText(body)) };
    const hash = hashOf(coded);
    this.#end = { seq: body.seq, hash };
    return lineOf({ ...coded, hash });
  }

  get #chain(): ChainEnd {
    if (this.#end === undefined) throw new Error('the end of the chain is not known');
    return this.#end;
  }

  async #others(): Promise<string[]> {
    const { heads, keys } = this.#options;
    const writers = (await listHeads(heads)).filter((each) => each !== this.#slot?.writer);
    const readings = await Promise.all(writers.map((writer) => readHead(heads, writer, keys)));
    return readings.flatMap((each) =>
      each.kind === 'good' ? [`${each.head.writer}:${each.head.seq}:${each.head.hash}`] : [],
    );
  }

  async #write(lines: readonly string[], isSigned: boolean): Promise<void> {
    const file = this.#file;
    if (file === undefined || lines.length === 0) return;
    const bytes = Buffer.from(lines.join(''));
    let written = 0;
    while (written < bytes.length)
      written += (await file.handle.write(bytes, written, bytes.length - written)).bytesWritten;
    await file.handle.datasync();
    file.bytes += bytes.length;
    const { seq, hash } = this.#chain;
    const { clock, movesTo: directory = this.#options.directory } = this.#options;
    const writer = this.#slot?.writer ?? '';
    await this.#head?.write({ writer, seq, hash, file: file.name, bytes: file.bytes, directory }, isSigned);
    this.#durableSeq = seq;
    this.#wasWriting = true;
    if (!isSigned) return;
    this.#signedSeq = seq;
    this.#signedMs = clock.now();
    this.#options.signed({ writer, seq, hash });
  }

  /** Takes back what was half written, as far as the disk allows, and forgets what it thought to know. */
  async #giveUp(): Promise<void> {
    const reached = this.#end?.seq ?? 0;
    if (reached > this.#durableSeq)
      this.#failed = {
        from: Math.min(this.#failed?.from ?? Number.POSITIVE_INFINITY, this.#durableSeq + 1),
        to: reached,
      };
    const file = this.#file;
    this.#end = undefined;
    this.#file = undefined;
    if (file === undefined) return;
    await file.handle.truncate(file.bytes).catch(() => undefined);
    if (file.bytes === 0) await unlink(file.path).catch(() => undefined);
    await file.handle.close().catch(() => undefined);
  }
}
