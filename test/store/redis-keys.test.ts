/** What the contract does not see of the Redis store: its keys, its clock, its clusters' slots. */
import tap, { test } from 'tap';
import { RedisConnection } from '../../gateway/store/redis-connection.ts';
import { familyKey, personKeys } from '../../gateway/store/redis-keys.ts';
import { openRedisStore } from '../../gateway/store/redis-store.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { startCluster, startSingle } from '../support/redis-servers.ts';
import { LIMITS, family } from './contract-bench.ts';

const single = await startSingle();
const cluster = await startCluster();
tap.teardown(async () => {
  await single.stop();
  await cluster.stop();
});
const ask = (...words: string[]) => single.servers[0]?.command(...words);

void test('every key that a store writes has the schema version and a lifetime', async (t) => {
  const store = await openRedisStore({ place: single.place });
  const now = Date.now();
  await store.create(family('a', now, { person: 'anna', jar: Buffer.from('jar') }), 10);
  await store.create(family('b', now), 10);
  await store.endPerson('anna', 'credentials');
  await store.sweep(LIMITS.idleMs);
  const keys = (await ask('KEYS', '*')) as string[];
  t.ok(keys.length >= 6, `${keys.length} keys`);
  for (const key of keys) {
    t.match(key, /^zasov:1:/);
    t.ok(Number(await ask('PTTL', key)) > 0, `${key} ends some day`);
  }
  await store.close();
});

void test('one increment ends a person’s sessions that the index lost', async (t) => {
  const store = await openRedisStore({ place: single.place });
  await store.create(family('lost', Date.now(), { person: 'clara' }), 10);
  await ask('DEL', personKeys('clara')[1]);
  t.equal(await store.endPerson('clara', 'credentials'), 0);
  const answer = await store.use('lost', 'first', false, LIMITS);
  t.match(answer, { outcome: 'dead', family: { state: { reason: 'credentials' } } });
  await store.create(family('next', Date.now(), { person: 'clara' }), 10);
  t.equal((await store.use('next', 'first', false, LIMITS))?.outcome, 'ok');
  await store.close();
});

void test('a clock that jumps back or ahead moves no family back and revives none', async (t) => {
  const clock = new ManualClock();
  const store = await openRedisStore({ place: single.place, testClock: clock });
  await store.create(family('jump', clock.now()), 10);
  clock.advance(LIMITS.rotateEveryMs);
  t.equal((await store.use('jump', 'first', false, LIMITS))?.outcome, 'ok_due');
  const before = (await store.list()).find(({ id }) => id === 'jump')?.state.seenMs;
  clock.advance(-10 * LIMITS.rotateEveryMs);
  t.equal((await store.use('jump', 'first', false, LIMITS))?.outcome, 'ok_due');
  t.equal((await store.list()).find(({ id }) => id === 'jump')?.state.seenMs, before);
  t.equal((await store.issue('jump', 'first', 'second', LIMITS))?.outcome, 'set');
  clock.advance(24 * 3_600_000);
  t.match((await store.use('jump', 'second', false, LIMITS))?.outcome, /^expired/);
  clock.advance(-24 * 3_600_000);
  t.equal((await store.use('jump', 'second', false, LIMITS))?.outcome, 'dead');
  await store.close();
});

void test('an answer to another question is never taken', async (t) => {
  const connection = new RedisConnection(single.place);
  await connection.open();
  const liar = { text: "return { 'somebody else', 'secret' }", sha: '0'.repeat(40) };
  await t.rejects(connection.run(liar, [familyKey('x')], []), { code: 'store_unavailable' });
  connection.close();
});

void test('a slot that moves under traffic loses nothing', async (t) => {
  const store = await openRedisStore({ place: cluster.place });
  await store.create(family('moving', Date.now()), 10);
  const [source] = await owners();
  const target = cluster.servers.find((server) => server !== source);
  if (source === undefined || target === undefined) throw new Error('no servers');
  const slot = String(await source.command('CLUSTER', 'KEYSLOT', familyKey('moving')));
  const outcomes: string[] = [];
  const over = new AbortController();
  const traffic = (async () => {
    while (!over.signal.aborted)
      outcomes.push(String((await store.use('moving', 'first', false, LIMITS))?.outcome));
  })();
  const [sourceId, targetId] = [
    String(await source.command('CLUSTER', 'MYID')),
    String(await target.command('CLUSTER', 'MYID')),
  ];
  await target.command('CLUSTER', 'SETSLOT', slot, 'IMPORTING', sourceId);
  await source.command('CLUSTER', 'SETSLOT', slot, 'MIGRATING', targetId);
  const keys = (await source.command('CLUSTER', 'GETKEYSINSLOT', slot, '100')) as string[];
  t.same(keys, [familyKey('moving')]);
  await source.command('MIGRATE', '127.0.0.1', String(target.port), '', '0', '5000', 'KEYS', ...keys);
  for (let round = 0; round < 20; round += 1) await store.use('moving', 'first', false, LIMITS);
  for (const server of [target, source]) await server.command('CLUSTER', 'SETSLOT', slot, 'NODE', targetId);
  for (let round = 0; round < 20; round += 1) await store.use('moving', 'first', false, LIMITS);
  over.abort();
  await traffic;
  t.same([...new Set(outcomes)], ['ok']);
  t.equal((await owners())[0], target);
  t.equal(await store.end('moving', 'logout'), true);
  await store.close();

  async function owners() {
    const held = await Promise.all(
      cluster.servers.map(async (server) => ((await server.command('KEYS', '*moving*')) as string[]).length),
    );
    return cluster.servers.filter((_, index) => (held[index] ?? 0) > 0);
  }
});
