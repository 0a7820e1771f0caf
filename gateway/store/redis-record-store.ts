import { type RedisConnection, unavailable } from './redis-connection.ts';
import type { RedisFailover } from './redis-failover.ts';
import { PUSH_CHANNEL, recordsKey } from './redis-keys.ts';
import type { readScripts } from './redis-script.ts';
import type { RecordKind, RecordListener, RecordStore, StoredRecord } from './record-store.ts';

/** What the records of a Redis store are made of. */
interface RedisRecordStoreOptions {
  readonly connection: RedisConnection;
  readonly failover: RedisFailover;
  readonly scripts: ReturnType<typeof readScripts>;
  /** Names this process on the push channel. */
  readonly node: string;
  readonly isPushAlive: () => boolean;
}

/**
 * The gateway's own state on the Redis that several gateways share. All records of a kind are one hash, in which a
 * record is one field: `VERSION:` and the body; one script compares the version and writes.
 */
export class RedisRecordStore implements RecordStore {
  readonly #options: RedisRecordStoreOptions;
  readonly #listeners = new Set<RecordListener>();

  constructor(options: RedisRecordStoreOptions) {
    this.#options = options;
  }

  isFresh(): boolean {
    return this.#options.isPushAlive();
  }

  async read(kind: RecordKind, id: string): Promise<StoredRecord | undefined> {
    await this.#options.failover.gate();
    const { client } = this.#options.connection;
    const value = await this.#do(() => client.hgetBuffer(recordsKey(kind), id));
    return value === null ? undefined : storedRecord(kind, id, value);
  }

  async list(kind: RecordKind): Promise<StoredRecord[]> {
    await this.#options.failover.gate();
    const { client } = this.#options.connection;
    const fields = await this.#do(() => client.hgetallBuffer(recordsKey(kind)));
    return Object.entries(fields)
      .map(([id, value]) => storedRecord(kind, id, value))
      .toSorted((one, other) => (one.id < other.id ? -1 : 1));
  }

  async write(record: StoredRecord): Promise<boolean> {
    const { failover } = this.#options;
    await failover.gate();
    const isWritten = await this.#put(record, record.version - 1);
    if (!isWritten) return false;
    // After a failover that lost it, the same again, unless the record went on meanwhile.
    failover.log.addLasting(() => this.#put(record, -1));
    this.tell(record.kind);
    return true;
  }

  async forget(kind: RecordKind, id: string, version: number): Promise<boolean> {
    const { connection, failover, scripts, node } = this.#options;
    await failover.gate();
    const parameters = [version, PUSH_CHANNEL, node, kind, id];
    const isForgotten = (await connection.runEnd(scripts.forgetRecord, [recordsKey(kind)], parameters)) === 1;
    if (isForgotten) this.tell(kind);
    return isForgotten;
  }

  onChange(listener: RecordListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Tells everybody here that a record changed, on this node or another; `undefined` that any may have. */
  tell(kind: RecordKind | undefined): void {
    for (const listener of this.#listeners) listener(kind);
  }

  /** @param expected the version that must be there; -1 for any lower one, in a replay. */
  async #put({ kind, id, version, body }: StoredRecord, expected: number): Promise<boolean> {
    const { connection, scripts, node } = this.#options;
    const parameters = [expected, PUSH_CHANNEL, node, kind, id, version, body];
    const isReplay = expected === -1;
    return (await connection.runEnd(scripts.writeRecord, [recordsKey(kind)], parameters, isReplay)) === 1;
  }

  async #do<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw unavailable(error);
    }
  }
}

/** Reads a field of {@link recordsKey}. */
export function storedRecord(kind: RecordKind, id: string, value: Buffer): StoredRecord {
  const colon = value.indexOf(':');
  return { kind, id, version: Number(value.toString('latin1', 0, colon)), body: value.subarray(colon + 1) };
}
