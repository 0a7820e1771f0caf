import { test } from 'tap';

import { openRedisStore, type RedisStore } from '../../gateway/store/redis-store.ts';
import {
  type RedisGroup,
  startCluster,
  startSentinels,
  startSingle,
  until,
} from '../support/redis-servers.ts';
import { keyStoreContract } from './key-contract.ts';

const GROUPS: [name: string, start: () => Promise<RedisGroup>][] = [
  ['alone', startSingle],
  ['behind Sentinel', startSentinels],
  ['as a Cluster', startCluster],
];

for (const [name, start] of GROUPS) {
  await test(`the keys of a Redis ${name}`, async (t) => {
    const group = await start();
    const open = async (): Promise<RedisStore> => await openRedisStore({ place: group.place });
    const [store, second] = [await open(), await open()];
    t.teardown(async () => {
      await Promise.all([store.close(), second.close()]);
      await group.stop();
    });
    await keyStoreContract(t, store.keys, async () => second.keys);
  });
}

await test('a key that was revoked in the seconds that a failover lost does not come back', async (t) => {
  const group = await startSentinels();
  const store = await openRedisStore({ place: group.place });
  t.teardown(async () => {
    await store.close();
    await group.stop();
  });
  const [primary, replica] = group.servers;
  const key = { lineage: 'AAAAAAAAAAAA', person: 'vera', dueMs: 1, body: Buffer.from('alive') };
  t.equal(await store.keys.write({ ...key, version: 1 }), true);
  await primary?.command('ACL', 'SETUSER', 'default', '-psync', '-sync');
  await primary?.command('CLIENT', 'KILL', 'TYPE', 'replica');
  t.equal(await store.keys.write({ ...key, version: 2, body: Buffer.from('revoked') }), true);
  await primary?.kill();
  await until(async () => String(await replica?.command('ROLE')).startsWith('master'), 20_000);
  let read = await store.keys.read(key.lineage).catch(() => undefined);
  await until(async () => {
    read = await store.keys.read(key.lineage);
    return read !== undefined;
  }, 20_000);
  t.equal(read?.version, 2);
  t.equal(Buffer.from(read?.body ?? []).toString(), 'revoked');
});
