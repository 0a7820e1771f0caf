import { type Test, test } from 'tap';

import { openRedisStore, type RedisStore } from '../../gateway/store/redis-store.ts';
import {
  deafenReplicas,
  type RedisGroup,
  startCluster,
  startSentinels,
  startSingle,
  until,
} from '../support/redis-servers.ts';

const GROUPS: [name: string, start: () => Promise<RedisGroup>][] = [
  ['alone', startSingle],
  ['behind Sentinel', startSentinels],
  ['as a Cluster', startCluster],
];

/**
 * Runs a contract over every kind of Redis, with two views on the same data.
 *
 * @param what for the titles: `the keys`.
 */
export async function onEveryRedis(
  what: string,
  contract: (t: Test, store: RedisStore, second: RedisStore) => Promise<void>,
): Promise<void> {
  for (const [name, start] of GROUPS) {
    await test(`${what} of a Redis ${name}`, async (t) => {
      const group = await start();
      const open = async (): Promise<RedisStore> => await openRedisStore({ place: group.place });
      const [store, second] = [await open(), await open()];
      t.teardown(async () => {
        await Promise.all([store.close(), second.close()]);
        await group.stop();
      });
      await contract(t, store, second);
    });
  }
}

/**
 * Has a failover lose what is written last: the replica hears no more of it, the primary is killed, and the replica
 * takes over.
 *
 * @returns what `read` finds once there is something again.
 */
export async function loseLast<T>(
  { servers: [primary, replica] }: RedisGroup,
  write: () => Promise<void>,
  read: () => Promise<T | undefined>,
): Promise<T | undefined> {
  if (primary !== undefined) await deafenReplicas(primary);
  await write();
  await primary?.kill();
  await until(async () => String(await replica?.command('ROLE')).startsWith('master'), 20_000);
  let found = await read().catch(() => undefined);
  await until(async () => {
    found = await read();
    return found !== undefined;
  }, 20_000);
  return found;
}
