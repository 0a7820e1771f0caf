import tap, { test } from 'tap';

import { createMasterKey, parseKeyring } from '../../gateway/crypto/keyring.ts';
import { systemClock } from '../../gateway/core/clock.ts';
import { shareLimits } from '../../gateway/rate-limit/limit-store.ts';
import { RequestLimit } from '../../gateway/rate-limit/request-limit.ts';
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
  const limit = new RequestLimit({ name: 'api', count: 7, windowMs: 1000 }, clock);
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
  const limit = new RequestLimit({ name: 'api', count: 2, windowMs: 1000 }, clock);
  for (let name = 0; name < 50_000; name += 1) limit.take(`early${name}`);
  clock.advance(1000);
  for (let name = 0; name < 60_000; name += 1) limit.take(`late${name}`);
  t.equal(limit.take('late0').remaining, 0, 'still counted');
});

await test('nodes share a limit, and tell each other behind the request', async (t) => {
  const rate = { name: 'shared', count: 100, windowMs: 60_000 };
  const [one, two] = connections.map(
    (each) => new RequestLimit(rate, systemClock, shareLimits(each, keyring)),
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

await test('while the store is away every node counts for itself', async (t) => {
  await redis.stop();
  const rate = { name: 'alone', count: 3, windowMs: 60_000 };
  const limit = new RequestLimit(rate, systemClock, shareLimits(connections[0], keyring));
  t.same(
    Array.from({ length: 4 }, () => limit.take('a').remaining),
    [2, 1, 0, -1],
  );
});
