/**
 * Two versions of the code on one store. There is no earlier release with a Redis store, so the other version is made
 * here: today's script with what the README allows a later one to add, a field of its own and a new kind of push.
 */
import tap, { test } from 'tap';
import { RedisConnection } from '../../gateway/store/redis-connection.ts';
import { limitFields, readAnswer } from '../../gateway/store/redis-family.ts';
import { PUSH_CHANNEL, familyKey } from '../../gateway/store/redis-keys.ts';
import { readScripts } from '../../gateway/store/redis-script.ts';
import { openRedisStore } from '../../gateway/store/redis-store.ts';
import { startSingle, until } from '../support/redis-servers.ts';
import { LIMITS, family } from './contract-bench.ts';

const redis = await startSingle();
tap.teardown(redis.stop);

void test('a node of this version and one of a later version rotate one family together', async (t) => {
  const now = await openRedisStore({ place: redis.place });
  const later = new RedisConnection(redis.place);
  await later.open();
  const { text } = readScripts().family;
  const addition =
    "redis.call('HSET', key, 'later', '1'); redis.call('PUBLISH', ARGV[3], ARGV[4] .. ' later ' .. id .. ' -')";
  const script = {
    text: text.replace('local state = read()\n--', `${addition}\nlocal state = read()\n--`),
    sha: '0'.repeat(40),
  };
  t.not(script.text, text);
  const limits = { ...LIMITS, rotateEveryMs: 0, graceMs: 2000 };
  const askLater = async (operation: string, ...rest: (string | number)[]) => {
    const head = [operation, '', PUSH_CHANNEL, 'later-node', 'a'];
    const parameters = [...head, ...rest, ...limitFields(limits, 0)];
    return readAnswer('a', await later.run(script, [familyKey('a')], parameters))?.outcome;
  };
  const stale: (string | undefined)[] = [];
  now.push.onStale((id) => stale.push(id));
  await until(async () => now.push.isAlive());

  await now.create(family('a', Date.now(), { person: 'anna' }), 10);
  t.equal((await now.issue('a', 'first', 'second', limits))?.outcome, 'set');
  t.equal(await askLater('use', 'second', 0), 'ok_confirm');
  t.equal(await askLater('issue', 'second', 'third'), 'set');
  t.equal((await now.use('a', 'third', false, limits))?.outcome, 'ok_confirm');
  t.equal(await askLater('use', 'second', 0), 'ok_inflight');
  await until(async () => stale.includes('a'));
  t.equal(await now.end('a', 'logout'), true);
  t.equal(await askLater('use', 'third', 0), 'dead');
  later.close();
  await now.close();
});
