import { Redis } from 'ioredis';

import { RedisConnection, type RedisPlace, unavailable } from './redis-connection.ts';
import { familyFields } from './redis-family.ts';
import {
  apiKeyDueKey,
  apiKeyKey,
  apiKeyPersonKey,
  apiKeyUseKey,
  familyKey,
  isPassing,
  LOADING_KEY,
  PREFIX,
  PUSH_CHANNEL,
  recordsKey,
  shardKeys,
  shardOf,
} from './redis-keys.ts';
import { readScripts } from './redis-script.ts';
import { endedState, notEmpty } from './loaded-state.ts';
import type { StoredRecord } from './record-store.ts';
import type { CopiedKey, StoreLoad, Tombstone } from './store-copy.ts';

/** How many are written side by side. */
const WIDTH = 200;
/** The name under which this process stands on the push channel. */
const NODE = 'restore';

/** Opens the store on Redis for a restore. @throws GatewayError `store_unavailable` when nothing answers in ten seconds. */
export async function openRedisLoad(place: RedisPlace): Promise<StoreLoad> {
  const connection = new RedisConnection(place);
  try {
    await connection.open(true);
    return new RedisLoad(connection);
  } catch (error) {
    connection.close();
    throw error;
  }
}

/** Every write is a script that keeps the higher version, so a batch may be written twice. */
class RedisLoad implements StoreLoad {
  readonly #connection: RedisConnection;
  readonly #scripts = readScripts();

  constructor(connection: RedisConnection) {
    this.#connection = connection;
  }

  async isEmpty(): Promise<boolean> {
    for await (const keys of this.#ours()) if (keys.some((key) => !isPassing(key))) return false;
    return true;
  }

  async isUnfinished(): Promise<boolean> {
    return await this.#do(() => this.#connection.isLoading());
  }

  async begin({ replace = false } = {}): Promise<void> {
    const isUnfinished = await this.isUnfinished();
    if (!isUnfinished && !replace && !(await this.isEmpty())) throw notEmpty('the store on Redis');
    await this.#do(() => this.#connection.client.set(LOADING_KEY, String(Date.now())));
    for await (const keys of this.#ours())
      await this.#each(
        keys.filter((key) => key !== LOADING_KEY),
        (key) => this.#connection.client.unlink(key),
      );
  }

  async putRecords(records: readonly StoredRecord[]): Promise<void> {
    await this.#each(records, ({ kind, id, version, body }) =>
      this.#connection.run(
        this.#scripts.writeRecord,
        [recordsKey(kind)],
        [-1, PUSH_CHANNEL, NODE, kind, id, version, body],
      ),
    );
  }

  async putKeys(keys: readonly CopiedKey[]): Promise<void> {
    const { client } = this.#connection;
    await this.#each(keys, async ({ lineage, version, person, dueMs, body, use }) => {
      const parameters = [-1, PUSH_CHANNEL, NODE, lineage, version, person, dueMs, body];
      // The index of due keys may be too early, never too late: it is set right when it is looked at.
      await Promise.all([
        client.zadd(apiKeyDueKey(shardOf(lineage)), 'LT', dueMs, lineage),
        client.sadd(apiKeyPersonKey(person), lineage),
        this.#connection.run(this.#scripts.writeKey, [apiKeyKey(lineage)], parameters),
        use === undefined ? undefined : client.set(apiKeyUseKey(lineage), Buffer.from(use.sealed)),
      ]);
    });
  }

  async putSessions(sessions: readonly Tombstone[]): Promise<void> {
    const nowMs = Date.now();
    await this.#each(sessions, async (session) => {
      const family = {
        id: session.id,
        state: endedState(session),
        person: undefined,
        createdMs: session.createdMs,
        profile: new Uint8Array(),
        jar: undefined,
        jarVersion: 0,
      };
      const parameters = ['', session.endsMs, ...familyFields(family)];
      await this.#connection.run(this.#scripts.create, [familyKey(session.id)], parameters);
      const { anonymous, quiet } = shardKeys(shardOf(session.id));
      const times = [session.endsMs, session.createdMs, nowMs];
      await this.#connection.run(this.#scripts.enrol, [anonymous, quiet], [session.id, ...times]);
    });
  }

  /** What is loaded is in no index of changes: all that will be there comes later. */
  async changesCursor(): Promise<string> {
    return '0';
  }

  async finish(): Promise<void> {
    await this.#do(() => this.#connection.client.del(LOADING_KEY));
  }

  async close(): Promise<void> {
    this.#connection.close();
  }

  /** Keys of a gateway's, some at a time, over all servers. */
  async *#ours(): AsyncGenerator<string[], void> {
    for (const node of this.#connection.primaries().values()) {
      let cursor = '0';
      do {
        const [next, keys] = await this.#do(() => scan(node, cursor));
        cursor = next;
        yield keys;
      } while (cursor !== '0');
    }
  }

  async #each<T>(items: readonly T[], work: (item: T) => Promise<unknown>): Promise<void> {
    for (let from = 0; from < items.length; from += WIDTH)
      await this.#do(() => Promise.all(items.slice(from, from + WIDTH).map(work)));
  }

  async #do<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw unavailable(error);
    }
  }
}

async function scan(node: Redis, cursor: string): Promise<[string, string[]]> {
  return await node.scan(cursor, 'MATCH', `${PREFIX}*`, 'COUNT', 1000);
}
