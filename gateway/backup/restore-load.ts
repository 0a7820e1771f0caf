import type { StoreLoad } from '../store/store-copy.ts';
import type { StoredKey } from '../store/key-store.ts';
import type { RecordKind, StoredRecord } from '../store/record-store.ts';
import { MemoryRecords } from './memory-records.ts';
import { inBatches, parseKey, parseRecord, parseTombstone, readJsonLines } from './restore-records.ts';

/** What the journal has that is later than a backup, by name and version. */
export interface JournalDigest {
  /** The latest version of each key, by lineage. */
  readonly keys: ReadonlyMap<string, number>;
}

/** How much was brought back. */
export interface LoadCounts {
  records: number;
  keys: number;
  sessions: number;
  /** Keys and records that the journal had later than the archive. */
  journaled: number;
}

/** Few, and looked at before they count. */
const KEPT: ReadonlySet<RecordKind> = new Set(['admin', 'proposal', 'region', 'restore']);
/** Says who does a piece of work at the moment: nobody does. */
const STALE: ReadonlySet<RecordKind> = new Set(['lease']);
const BATCH = 500;

/**
 * Brings the records of a backup and of its journal into a store. Of each key and record the later version counts,
 * whichever came first, so that what was revoked or used after the backup stays so.
 */
export class RestoreLoad {
  readonly records = new MemoryRecords();
  readonly counts: LoadCounts = { records: 0, keys: 0, sessions: 0, journaled: 0 };
  readonly #load: StoreLoad;
  readonly #journal: JournalDigest;
  readonly #hold: ((key: StoredKey) => StoredKey) | undefined;

  /** @param hold set when keys come back on hold. */
  constructor(load: StoreLoad, journal: JournalDigest, hold?: (key: StoredKey) => StoredKey) {
    this.#load = load;
    this.#journal = journal;
    this.#hold = hold;
  }

  /** Takes a part `store/records-…` of the archive. */
  async takeRecords(body: AsyncIterable<Uint8Array>): Promise<void> {
    const others = this.#keepFew(mapValues(readJsonLines(body), parseRecord));
    this.counts.records += await inBatches(others, BATCH, (batch) => this.#load.putRecords(batch));
  }

  /** Takes a part `store/keys-…` of the archive. */
  async takeKeys(body: AsyncIterable<Uint8Array>): Promise<void> {
    const keys = this.#notSuperseded(mapValues(readJsonLines(body), parseKey));
    this.counts.keys += await inBatches(keys, BATCH, (batch) => this.#load.putKeys(batch));
  }

  /** Takes a part `store/sessions-…` of the archive: they are ended, all of them. */
  async takeSessions(body: AsyncIterable<Uint8Array>): Promise<void> {
    const tombstones = mapValues(readJsonLines(body), parseTombstone);
    this.counts.sessions += await inBatches(tombstones, BATCH, (batch) => this.#load.putSessions(batch));
  }

  /** Takes a segment of the journal. */
  async takeSegment(segment: {
    keys: readonly StoredKey[];
    records: readonly StoredRecord[];
  }): Promise<void> {
    const keys = segment.keys.filter(({ lineage, version }) => this.#journal.keys.get(lineage) === version);
    for (let from = 0; from < keys.length; from += BATCH)
      await this.#load.putKeys(keys.slice(from, from + BATCH).map((key) => this.#held(key)));
    const others = segment.records.filter((record) => !this.#keep(record));
    if (others.length > 0) await this.#load.putRecords(others);
    this.counts.keys += keys.length;
    this.counts.journaled += segment.keys.length + segment.records.length;
  }

  /** Puts the records that were kept back into the store; once, when nothing is added to them any more. */
  async putKept(): Promise<void> {
    const records = this.records.all();
    for (let from = 0; from < records.length; from += BATCH)
      await this.#load.putRecords(records.slice(from, from + BATCH));
    this.counts.records += records.length;
  }

  async *#notSuperseded(keys: AsyncIterable<StoredKey>): AsyncGenerator<StoredKey> {
    for await (const key of keys)
      if ((this.#journal.keys.get(key.lineage) ?? 0) < key.version) yield this.#held(key);
  }

  async *#keepFew(records: AsyncIterable<StoredRecord>): AsyncGenerator<StoredRecord> {
    for await (const record of records) if (!this.#keep(record)) yield record;
  }

  #keep(record: StoredRecord): boolean {
    if (KEPT.has(record.kind)) this.records.take(record);
    return KEPT.has(record.kind) || STALE.has(record.kind);
  }

  #held<T extends StoredKey>(key: T): T {
    return this.#hold === undefined ? key : { ...key, ...this.#hold(key) };
  }
}

async function* mapValues<T>(values: AsyncIterable<unknown>, read: (value: unknown) => T): AsyncGenerator<T> {
  for await (const value of values) yield read(value);
}
