import { RedisConnection, type RedisPlace, unavailable } from './redis-connection.ts';
import { apiKeyDueKey, apiKeyUseKey, familyKey, recordsKey, shardKeys, SHARDS } from './redis-keys.ts';
import { readKeyHash } from './redis-key-store.ts';
import { storedRecord } from './redis-record-store.ts';
import { RECORD_KINDS, type StoredRecord } from './record-store.ts';
import type { CopiedKey, StoreCopy, Tombstone } from './store-copy.ts';

/** How many keys are read side by side. */
const WIDTH = 200;

/** Opens the store on Redis for a backup. @throws GatewayError `store_unavailable` when nothing answers in ten seconds. */
export async function openRedisCopy(place: RedisPlace): Promise<StoreCopy> {
  const connection = new RedisConnection(place);
  try {
    await connection.open();
    return new RedisCopy(connection);
  } catch (error) {
    connection.close();
    throw error;
  }
}

/** The indexes are read whole and sorted: an id is a few bytes, and a million of them some tens of megabytes. */
class RedisCopy implements StoreCopy {
  readonly #connection: RedisConnection;

  constructor(connection: RedisConnection) {
    this.#connection = connection;
  }

  async *records(): AsyncGenerator<StoredRecord, void> {
    for (const kind of RECORD_KINDS) {
      const fields = await this.#ask((client) => client.hgetallBuffer(recordsKey(kind)));
      for (const id of Object.keys(fields).toSorted(byCode)) {
        const value = fields[id];
        if (value !== undefined) yield storedRecord(kind, id, value);
      }
    }
  }

  async *keys(): AsyncGenerator<CopiedKey, void> {
    yield* this.#inOrder(
      (shard) => [apiKeyDueKey(shard)],
      async (lineage) => {
        const { client } = this.#connection;
        const [key, sealed] = await Promise.all([
          readKeyHash(client, lineage),
          client.getBuffer(apiKeyUseKey(lineage)),
        ]);
        return key === undefined || sealed === null ? key : { ...key, use: { atMs: 0, sealed } };
      },
    );
  }

  async *sessions(): AsyncGenerator<Tombstone, void> {
    yield* this.#inOrder(
      (shard) => [shardKeys(shard).signedIn, shardKeys(shard).anonymous],
      async (id) => {
        const fields = await this.#connection.client.hmget(familyKey(id), 'created', 'ends', 'generation');
        const [createdMs, endsMs, generation] = fields.map(Number);
        return endsMs === undefined || endsMs === 0
          ? undefined
          : { id, createdMs: createdMs ?? 0, endsMs, generation: generation ?? 0 };
      },
    );
  }

  async close(): Promise<void> {
    this.#connection.close();
  }

  async *#inOrder<T>(
    indexes: (shard: number) => readonly string[],
    read: (id: string) => Promise<T | undefined>,
  ): AsyncGenerator<T, void> {
    const ids = new Set<string>();
    for (let shard = 0; shard < SHARDS; shard += 1)
      for (const index of indexes(shard))
        for (const id of await this.#ask((client) => client.zrange(index, '0', '-1'))) ids.add(id);
    const ordered = [...ids].toSorted(byCode);
    ids.clear();
    for (let from = 0; from < ordered.length; from += WIDTH) {
      const found = await this.#ask(() => Promise.all(ordered.slice(from, from + WIDTH).map(read)));
      for (const each of found) if (each !== undefined) yield each;
    }
  }

  async #ask<T>(question: (client: RedisConnection['client']) => Promise<T>): Promise<T> {
    try {
      return await question(this.#connection.client);
    } catch (error) {
      throw unavailable(error);
    }
  }
}

/** The order that SQLite has too. */
function byCode(one: string, other: string): number {
  if (one === other) return 0;
  return one < other ? -1 : 1;
}
