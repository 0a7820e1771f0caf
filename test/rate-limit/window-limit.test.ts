import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import tap, { test } from 'tap';

import { createMasterKey, parseKeyring } from '../../gateway/crypto/keyring.ts';
import { systemClock } from '../../gateway/core/clock.ts';
import { shareCounts } from '../../gateway/rate-limit/shared-counts.ts';
import { WindowLimit } from '../../gateway/rate-limit/window-limit.ts';
import { openEmbeddedCounts } from '../../gateway/store/embedded-counts.ts';
import { RedisConnection } from '../../gateway/store/redis-connection.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { startSingle, until } from '../support/redis-servers.ts';

const redis = await startSingle();
const keyring = parseKeyring(createMasterKey());
const connections = [new RedisConnection(redis.place), new RedisConnection(redis.place)];
await Promise.all(connections.map((each) => each.open()));
tap.teardown(async () => {
  for (const each of connections) each.close();
  await redis.stop();
});

await test('seven in a second, and in the next second seven again', async (t) => {
  const clock = new ManualClock();
  const limit = new WindowLimit({ name: 'api', count: 7, windowMs: 1000 }, clock);
  const took = (name: string, times: number): number[] =>
    Array.from({ length: times }, () => limit.take(name).remaining);
  t.same(took('a', 9), [6, 5, 4, 3, 2, 1, 0, -1, -1]);
  t.same(took('b', 2), [6, 5], 'everybody has their own');
  clock.advance(999);
  t.equal(limit.take('a').remaining, -1);
  clock.advance(1);
  const slot = limit.take('a');
  t.equal(slot.remaining, 6);
  t.equal(slot.endsMs, clock.now() + 1000);
});

await test('a flood of names costs bounded memory and forgets nobody who is still counted, if it can', async (t) => {
  const clock = new ManualClock();
  const limit = new WindowLimit({ name: 'api', count: 2, windowMs: 1000 }, clock);
  for (let name = 0; name < 50_000; name += 1) limit.take(`early${name}`);
  clock.advance(1000);
  for (let name = 0; name < 60_000; name += 1) limit.take(`late${name}`);
  t.equal(limit.take('late0').remaining, 0, 'still counted');
});

await test('nodes share a limit, and tell each other behind the request', async (t) => {
  const rate = { name: 'shared', count: 100, windowMs: 60_000 };
  const [one, two] = connections.map(
    (each) =>
      new WindowLimit(
        rate,
        systemClock,
        shareCounts({ connection: each, counts: undefined }, keyring, false),
      ),
  );
  if (one === undefined || two === undefined) return t.fail('two nodes');
  for (let request = 0; request < 60; request += 1) one.take('anna');
  // The other hears of them with the answer to what it tells itself.
  await until(async () => {
    two.take('anna');
    return two.take('anna').remaining < 40;
  });
  let passed = 60;
  for (let request = 0; request < 200; request += 1) if (two.take('anna').remaining >= 0) passed += 1;
  t.ok(passed <= 100, `${passed} passed`);
  const keys = (await redis.servers[0]?.command('KEYS', '*shared*')) as string[];
  t.match(keys, [/^zasov:1:limit:shared:[\w-]{22}$/], 'the store reads no name');
});

await test('bytes are drawn after the fact, also beyond the limit, and the window gives a new budget', async (t) => {
  const clock = new ManualClock();
  const limit = new WindowLimit({ name: 'bytes', count: 1000, windowMs: 60_000 }, clock);
  t.equal(limit.look('a').remaining, 1000);
  t.equal(limit.spend('a', 600).remaining, 400);
  t.equal(limit.spend('a', 5000).remaining, -4600);
  t.equal(limit.look('b').remaining, 1000, 'everybody has their own');
  clock.advance(59_999);
  t.equal(limit.look('a').remaining, -4600);
  clock.advance(1);
  t.equal(limit.look('a').remaining, 1000);
});

await test('a restart hands out no fresh budget, with Redis and with the embedded store', async (t) => {
  const rate = { name: 'budget', count: 1000, windowMs: 3_600_000 };
  const path = join(t.testdir(), 'limits.db');
  const inRedis = shareCounts({ connection: connections[0], counts: undefined }, keyring, false);
  for (const kind of ['redis', 'embedded']) {
    const start = () => {
      const file = kind === 'redis' ? undefined : openEmbeddedCounts(path, systemClock);
      const shared =
        file === undefined ? inRedis : shareCounts({ connection: undefined, counts: file }, keyring, false);
      return { file, limit: new WindowLimit(rate, systemClock, shared) };
    };
    const before = start();
    before.limit.spend('anna', 990);
    await before.limit.close();
    before.file?.close();
    const after = start();
    t.equal(after.limit.look('anna').remaining, 1000, 'not known at once');
    await until(async () => after.limit.look('anna').remaining === 10);
    t.equal(after.limit.look('anna').remaining, 10, kind);
    after.file?.close();
  }
  t.notMatch(readFileSync(path, 'latin1'), /anna/, 'the file holds no name');
  t.equal(statSync(path).mode & 0o777, 0o600);
});

await test('processes that share the embedded file count together, short windows too', async (t) => {
  const path = join(t.testdir(), 'limits.db');
  const files = [openEmbeddedCounts(path, systemClock), openEmbeddedCounts(path, systemClock)];
  t.teardown(() => files.forEach((file) => file.close()));
  const rate = { name: 'few', count: 20, windowMs: 60_000 };
  const [one, two] = files.map(
    (counts) =>
      new WindowLimit(rate, systemClock, shareCounts({ connection: undefined, counts }, keyring, true)),
  );
  if (one === undefined || two === undefined) return t.fail('two processes');
  for (let request = 0; request < 15; request += 1) one.take('anna');
  two.take('anna');
  await until(async () => two.look('anna').remaining <= 4);
  t.equal(two.look('anna').remaining, 4);
  await until(async () => one.take('anna').remaining < 4);
  const alone = new WindowLimit(
    rate,
    systemClock,
    shareCounts({ connection: undefined, counts: files[0] }, keyring, false),
  );
  alone.take('anna');
  await alone.close();
  t.equal((await files[0]?.add('other', 0, 1000))?.counted, 0);
});

await test('a window of the file that is over begins again', async (t) => {
  const clock = new ManualClock();
  const file = openEmbeddedCounts(':memory:', clock);
  t.same(await file.add('a', 5, 1000), { counted: 5, leftMs: 1000 });
  clock.advance(400);
  t.same(await Promise.all([file.add('a', 2, 1000), file.add('a', -1, 1000)]), [
    { counted: 7, leftMs: 600 },
    { counted: 6, leftMs: 600 },
  ]);
  clock.advance(600);
  t.same(await file.add('a', 1, 1000), { counted: 1, leftMs: 1000 });
  await file.set('a', 10, 60_000);
  t.same(await file.add('a', 0, 1000), { counted: 10, leftMs: 60_000 });
  file.close();
  await t.rejects(file.add('a', 1, 1000), { code: 'store_unavailable' });
});

await test('while the store is away every node counts for itself', async (t) => {
  await redis.stop();
  const rate = { name: 'alone', count: 3, windowMs: 60_000 };
  const limit = new WindowLimit(
    rate,
    systemClock,
    shareCounts({ connection: connections[0], counts: undefined }, keyring, false),
  );
  t.same(
    Array.from({ length: 4 }, () => limit.take('a').remaining),
    [2, 1, 0, -1],
  );
});
