import { unavailable } from './redis-connection.ts';
import type { RedisConnection } from './redis-connection.ts';
import { SHARDS, shardKeys, shardOf } from './redis-keys.ts';
import type { ShardKeys } from './redis-keys.ts';
import type { readScripts } from './redis-script.ts';
import type { StoredFamily } from './session-store.ts';

/** Most families that one look at a shard finds for each cause. */
const DUE_LIMIT = 100;

/**
 * The index of all families, in shards. A superset of what lives: an entry may outlast its family, a family never
 * its entry unless a failover lost it. So whoever finds an id here asks the family itself.
 */
export class RedisFamilyIndex {
  readonly #connection: RedisConnection;
  readonly #scripts: ReturnType<typeof readScripts>;

  constructor(connection: RedisConnection, scripts: ReturnType<typeof readScripts>) {
    this.#connection = connection;
    this.#scripts = scripts;
  }

  async enrol({ id, state, person }: StoredFamily, nowMs: number): Promise<void> {
    const keys = shardKeys(shardOf(id));
    const byEnd = person === undefined ? keys.anonymous : keys.signedIn;
    await this.#connection.run(
      this.#scripts.enrol,
      [byEnd, keys.quiet],
      [id, state.endsMs, state.seenMs, nowMs],
    );
  }

  /** Takes an ended family out. What stays when this fails is found again by the sweep. */
  async strike(id: string): Promise<void> {
    const { signedIn, anonymous, quiet } = shardKeys(shardOf(id));
    await this.#connection
      .run(this.#scripts.strike, [signedIn, anonymous, quiet], [id])
      .catch(() => undefined);
  }

  /** How many signed-in families end after now. */
  async count(nowMs: number): Promise<number> {
    const counts = await this.#shards((keys) =>
      this.#connection.client.zcount(keys.signedIn, nowMs + 1, '+inf'),
    );
    return counts.reduce((sum, count) => sum + count, 0);
  }

  async all(): Promise<string[]> {
    const ids = await this.#shards(async ({ signedIn, anonymous }) => [
      ...(await this.#connection.client.zrange(signedIn, '0', '-1')),
      ...(await this.#connection.client.zrange(anonymous, '0', '-1')),
    ]);
    return ids.flat();
  }

  /** Families that are past their end, or that nobody has heard of since a time. */
  async due(nowMs: number, silentSinceMs: number): Promise<string[]> {
    const { client } = this.#connection;
    const ids = await this.#shards(async ({ signedIn, anonymous, quiet }) => {
      const lists = await Promise.all([
        client.zrangebyscore(signedIn, '-inf', nowMs, 'LIMIT', 0, DUE_LIMIT),
        client.zrangebyscore(anonymous, '-inf', nowMs, 'LIMIT', 0, DUE_LIMIT),
        client.zrangebyscore(quiet, '-inf', silentSinceMs, 'LIMIT', 0, DUE_LIMIT),
      ]);
      return lists.flat();
    });
    return [...new Set(ids.flat())];
  }

  /** Notes that a family was heard of later than the index knew. */
  async heard(id: string, seenMs: number): Promise<void> {
    try {
      await this.#connection.client.zadd(shardKeys(shardOf(id)).quiet, 'XX', seenMs, id);
    } catch (error) {
      throw unavailable(error);
    }
  }

  async #shards<T>(ask: (keys: ShardKeys) => Promise<T>): Promise<T[]> {
    try {
      return await Promise.all(Array.from({ length: SHARDS }, (_, shard) => ask(shardKeys(shard))));
    } catch (error) {
      throw unavailable(error);
    }
  }
}
