import tap, { test } from 'tap';
import { createMasterKey, parseKeyring } from '../../gateway/crypto/keyring.ts';
import { createAnonymousLimit } from '../../gateway/rate-limit/anonymous-limit.ts';
import { shareLimits } from '../../gateway/rate-limit/limit-store.ts';
import { RedisConnection } from '../../gateway/store/redis-connection.ts';
import { startSingle } from '../support/redis-servers.ts';

const SETTINGS = { count: 3, windowMs: 60_000 };
const redis = await startSingle();
const keyring = parseKeyring(createMasterKey());
const connections = [new RedisConnection(redis.place), new RedisConnection(redis.place)];
await Promise.all(connections.map((each) => each.open()));
tap.teardown(async () => {
  for (const each of connections) each.close();
  await redis.stop();
});

void test('one gateway alone counts in its memory', async (t) => {
  const take = createAnonymousLimit(SETTINGS);
  t.same([await take('a'), await take('a'), await take('a'), await take('a')], [true, true, true, false]);
  t.equal(await take('b'), true);
});

void test('two gateways count together, and the store reads no address', async (t) => {
  const [one, two] = connections.map((each) => createAnonymousLimit(SETTINGS, shareLimits(each, keyring)));
  const answers = [await one?.('192.0.2.0'), await two?.('192.0.2.0'), await one?.('192.0.2.0')];
  t.same([...answers, await two?.('192.0.2.0')], [true, true, true, false]);
  const keys = (await redis.servers[0]?.command('KEYS', '*')) as string[];
  t.match(keys, [/^zasov:1:limit:anonymous:[\w-]{22}$/]);
  t.ok(Number(await redis.servers[0]?.command('PTTL', keys[0] ?? '')) > 0);
});

void test('while the store is away each gateway counts for itself', async (t) => {
  await redis.stop();
  const take = createAnonymousLimit(SETTINGS, shareLimits(connections[0], keyring));
  t.same([await take('c'), await take('c'), await take('c'), await take('c')], [true, true, true, false]);
});
