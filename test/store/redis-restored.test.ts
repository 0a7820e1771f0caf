import { test } from 'tap';

import { openRedisStore } from '../../gateway/store/redis-store.ts';
import { type RedisServer, startRedis, until } from '../support/redis-servers.ts';

/** Kills a server; where it was another one comes up, with what `fill` puts into it before. */
async function replace(
  lost: RedisServer,
  fill: (elsewhere: RedisServer) => Promise<void>,
): Promise<RedisServer> {
  const elsewhere = await startRedis();
  await fill(elsewhere);
  await elsewhere.command('SAVE');
  await elsewhere.kill();
  await lost.kill();
  return await startRedis([], lost.port, elsewhere.directory);
}

void test('what a gateway did before a restore is not done again on top of it', async (t) => {
  const lost = await startRedis();
  const store = await openRedisStore({ place: { kind: 'single', url: lost.url } });
  const key = { lineage: 'AAAAAAAAAAAA', person: 'vera', dueMs: 1 };
  for (const version of [1, 2])
    t.equal(await store.keys.write({ ...key, version, body: Buffer.from('alive') }), true);

  // Somewhere else the store is restored; there the key is held for review.
  const restored = await replace(lost, async ({ url }) => {
    const restore = await openRedisStore({ place: { kind: 'single', url } });
    await restore.keys.write({ ...key, version: 1, body: Buffer.from('held') });
    await restore.records.write({ kind: 'restore', id: 'epoch', version: 1, body: Buffer.from('archive') });
    await restore.close();
  });
  t.teardown(async () => {
    await store.close();
    await restored.kill();
  });
  await until(async () => (await store.keys.read(key.lineage)) !== undefined);
  const found = await store.keys.read(key.lineage);
  t.equal(Buffer.from(found?.body ?? []).toString(), 'held');
});

void test('nothing is asked of a store that holds half of a restore, and what was done is not done again on it', async (t) => {
  const lost = await startRedis();
  const store = await openRedisStore({ place: { kind: 'single', url: lost.url } });
  await store.keys.write({
    lineage: 'AAAAAAAAAAAA',
    person: 'vera',
    dueMs: 1,
    version: 1,
    body: Buffer.from('alive'),
  });
  const loading = await replace(lost, async (half) => {
    await half.command('SET', 'zasov:1:loading', '1');
  });
  t.teardown(async () => {
    await store.close();
    await loading.kill();
  });
  // The gateway's connection is there, and it looked.
  await until(async () =>
    /cmdstat_time:calls=[^0]/.test(String(await loading.command('INFO', 'commandstats'))),
  );
  await t.rejects(store.keys.read('AAAAAAAAAAAA'), { code: 'store_unavailable' });
  t.same(await loading.command('KEYS', '*'), ['zasov:1:loading']);
});
