import type { KeyListener, KeyStore, StoredKey } from './key-store.ts';
import { type RedisConnection, unavailable } from './redis-connection.ts';
import type { RedisFailover } from './redis-failover.ts';
import {
  apiKeyChangedKey,
  apiKeyDueKey,
  apiKeyKey,
  apiKeyPersonKey,
  apiKeyUseKey,
  PUSH_CHANNEL,
  SHARDS,
  shardOf,
} from './redis-keys.ts';
import type { readScripts } from './redis-script.ts';

/** What the keys of a Redis store are made of. */
interface RedisKeyStoreOptions {
  readonly connection: RedisConnection;
  readonly failover: RedisFailover;
  readonly scripts: ReturnType<typeof readScripts>;
  /** Names this process on the push channel. */
  readonly node: string;
  readonly isPushAlive: () => boolean;
}

const FIELDS = ['version', 'person', 'due', 'body'] as const;
/** How many keys are read side by side. */
const WIDTH = 200;
/** A change that was announced is written within this time, or not at all. */
const ANNOUNCED_MS = 5000;
/** Most keys of a shard that one call for changes gives. */
const CHANGES_LIMIT = 1000;

/**
 * API keys on the Redis that several gateways share. One key, one hash, changed by one script that compares its
 * version; indexes by person and by due time are supersets that are set right when they are read.
 */
export class RedisKeyStore implements KeyStore {
  readonly #options: RedisKeyStoreOptions;
  readonly #listeners = new Set<KeyListener>();

  constructor(options: RedisKeyStoreOptions) {
    this.#options = options;
  }

  isFresh(): boolean {
    return this.#options.isPushAlive();
  }

  async read(lineage: string): Promise<StoredKey | undefined> {
    await this.#options.failover.gate();
    return await this.#read(lineage);
  }

  async write(key: StoredKey): Promise<boolean> {
    const { failover } = this.#options;
    await failover.gate();
    await this.#enrol(key);
    const isWritten = await this.#put(key, key.version - 1);
    // After a failover that lost it, the same again, unless the key went on meanwhile.
    if (isWritten) {
      failover.log.addLasting(async () => {
        await this.#enrol(key);
        await this.#put(key, -1);
      });
    }
    // What the index said before may be later than what is true now, or earlier: both are set right.
    const due = isWritten ? key.dueMs : (await this.#read(key.lineage))?.dueMs;
    if (due !== undefined) await this.#setDue(key.lineage, due);
    if (!isWritten) return false;
    await this.#noteChange(key.lineage);
    this.tell(key.lineage);
    return true;
  }

  async forget(lineage: string, version: number): Promise<boolean> {
    const { connection, failover, scripts, node } = this.#options;
    await failover.gate();
    const known = await this.#read(lineage);
    const parameters = [version, PUSH_CHANNEL, node, lineage];
    const isForgotten = (await connection.runEnd(scripts.forgetKey, [apiKeyKey(lineage)], parameters)) === 1;
    if (!isForgotten) return false;
    await this.#do(() => connection.client.del(apiKeyUseKey(lineage)));
    const shard = shardOf(lineage);
    await this.#do(() => connection.client.zrem(apiKeyDueKey(shard), lineage));
    await this.#do(() => connection.client.zrem(apiKeyChangedKey(shard), lineage));
    if (known !== undefined)
      await this.#do(() => connection.client.srem(apiKeyPersonKey(known.person), lineage));
    this.tell(lineage);
    return true;
  }

  async ofPerson(person: string): Promise<StoredKey[]> {
    await this.#options.failover.gate();
    const lineages = await this.#do(() => this.#options.connection.client.smembers(apiKeyPersonKey(person)));
    return (await this.#readAll(lineages)).filter((key) => key.person === person);
  }

  async list(): Promise<StoredKey[]> {
    await this.#options.failover.gate();
    const shards = await Promise.all(
      Array.from({ length: SHARDS }, (_, shard) =>
        this.#do(() => this.#options.connection.client.zrange(apiKeyDueKey(shard), '0', '-1')),
      ),
    );
    return await this.#readAll(shards.flat());
  }

  async due(nowMs: number, limit: number): Promise<StoredKey[]> {
    await this.#options.failover.gate();
    const { client } = this.#options.connection;
    const shards = await Promise.all(
      Array.from({ length: SHARDS }, (_, shard) =>
        this.#do(() => client.zrangebyscore(apiKeyDueKey(shard), '-inf', String(nowMs), 'LIMIT', 0, limit)),
      ),
    );
    const lineages = shards.flat();
    const found = await this.#readAll(lineages);
    const known = new Set(found.map(({ lineage }) => lineage));
    const gone = lineages.filter((lineage) => !known.has(lineage));
    await Promise.all(
      gone.map((lineage) => this.#do(() => client.zrem(apiKeyDueKey(shardOf(lineage)), lineage))),
    );
    const later = found.filter(({ dueMs }) => dueMs > nowMs);
    await Promise.all(later.map(({ lineage, dueMs }) => this.#setDue(lineage, dueMs)));
    return found
      .filter(({ dueMs }) => dueMs <= nowMs)
      .toSorted((one, other) => one.dueMs - other.dueMs)
      .slice(0, limit);
  }

  async changes(cursor: string | undefined): Promise<{ keys: StoredKey[]; cursor: string }> {
    const { connection, failover } = this.#options;
    await failover.gate();
    const nowMs = failover.serverNow();
    const sinceMs = Number(cursor ?? Number.NaN);
    if (!Number.isFinite(sinceMs)) return { keys: [], cursor: String(nowMs) };
    const from = String(sinceMs - ANNOUNCED_MS);
    const limit = ['LIMIT', 0, CHANGES_LIMIT] as const;
    const shards = await Promise.all(
      Array.from({ length: SHARDS }, (_, shard) =>
        this.#do(() =>
          connection.client.zrangebyscore(apiKeyChangedKey(shard), from, '+inf', 'WITHSCORES', ...limit),
        ),
      ),
    );
    const keys = await this.#readAll(shards.flatMap((each) => each.filter((_, place) => place % 2 === 0)));
    // A shard that had more than this is gone on with from its last one; what comes again does no harm.
    const ends = shards
      .filter((each) => each.length === 2 * CHANGES_LIMIT)
      .map((each) => Number(each.at(-1)));
    return { keys, cursor: String(Math.min(nowMs, ...ends.map((endMs) => endMs + ANNOUNCED_MS))) };
  }

  async noteUse(lineage: string, _atMs: number, sealed: Uint8Array): Promise<void> {
    await this.#do(() => this.#options.connection.client.set(apiKeyUseKey(lineage), Buffer.from(sealed)));
  }

  async uses(lineages: readonly string[]): Promise<(Uint8Array | undefined)[]> {
    await this.#options.failover.gate();
    const found: (Uint8Array | undefined)[] = [];
    for (let from = 0; from < lineages.length; from += WIDTH) {
      const some = lineages.slice(from, from + WIDTH).map(async (lineage) => {
        const sealed = await this.#do(() => this.#options.connection.client.getBuffer(apiKeyUseKey(lineage)));
        return sealed ?? undefined;
      });
      found.push(...(await Promise.all(some)));
    }
    return found;
  }

  onChange(listener: KeyListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Tells everybody here that a key changed, on this node or another; `undefined` that any may have. */
  tell(lineage: string | undefined): void {
    for (const listener of this.#listeners) listener(lineage);
  }

  /** Before the record, so that a node which dies in between leaves an index that knows too much and not too little. */
  async #enrol({ lineage, person, dueMs }: StoredKey): Promise<void> {
    const { client } = this.#options.connection;
    await Promise.all([
      this.#do(() => client.zadd(apiKeyDueKey(shardOf(lineage)), 'LT', dueMs, lineage)),
      this.#do(() => client.sadd(apiKeyPersonKey(person), lineage)),
      this.#noteChange(lineage),
    ]);
  }

  /** Before and after the record: before, so that a node which dies in between has said it; after, so that it is seen. */
  async #noteChange(lineage: string): Promise<void> {
    const { connection, failover } = this.#options;
    await this.#do(() =>
      connection.client.zadd(apiKeyChangedKey(shardOf(lineage)), failover.serverNow(), lineage),
    );
  }

  async #setDue(lineage: string, dueMs: number): Promise<void> {
    const { client } = this.#options.connection;
    await this.#do(() => client.zadd(apiKeyDueKey(shardOf(lineage)), dueMs, lineage));
  }

  /** @param expected the version that must be there; -1 for any lower one, in a replay. */
  async #put({ lineage, version, person, dueMs, body }: StoredKey, expected: number): Promise<boolean> {
    const { connection, scripts, node } = this.#options;
    const parameters = [expected, PUSH_CHANNEL, node, lineage, version, person, dueMs, body];
    const isReplay = expected === -1;
    return (await connection.runEnd(scripts.writeKey, [apiKeyKey(lineage)], parameters, isReplay)) === 1;
  }

  async #read(lineage: string): Promise<StoredKey | undefined> {
    return await this.#do(() => readKeyHash(this.#options.connection.client, lineage));
  }

  async #readAll(lineages: readonly string[]): Promise<StoredKey[]> {
    const found: StoredKey[] = [];
    for (let from = 0; from < lineages.length; from += WIDTH) {
      const some = lineages.slice(from, from + WIDTH).map((lineage) => this.#read(lineage));
      for (const key of await Promise.all(some)) if (key !== undefined) found.push(key);
    }
    return found;
  }

  async #do<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw unavailable(error);
    }
  }
}

/** Reads a key's hash. @returns `undefined` when there is none. */
export async function readKeyHash(
  client: RedisConnection['client'],
  lineage: string,
): Promise<StoredKey | undefined> {
  const [version, person, due, body] = await client.hmgetBuffer(apiKeyKey(lineage), ...FIELDS);
  if (!version || !person || !due || !body) return undefined;
  return { lineage, version: Number(version), person: person.toString(), dueMs: Number(due), body };
}
