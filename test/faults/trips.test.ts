/** What a request costs the store in the steady state, counted by the gateways and by the server itself. */
import { setTimeout as pause } from 'node:timers/promises';
import tap, { test } from 'tap';
import { startSingle } from '../support/redis-servers.ts';
import { Crowd } from './crowd.ts';
import { Person, metric, startShared } from './shared-gateways.ts';

const redis = await startSingle();
const shared = await startShared([redis.place, redis.place], '');
const { gateways } = shared;
tap.teardown(async () => {
  await shared.stop();
  await redis.stop();
});

/** Scripts that the server ran; commands inside them are no trips. */
async function scriptsRun(): Promise<number> {
  const info = String(await redis.servers[0]?.command('INFO', 'commandstats'));
  const counts = [...info.matchAll(/cmdstat_eval(?:sha)?:calls=(\d+)/g)];
  return counts.reduce((sum, [, count]) => sum + Number(count), 0);
}

async function asked(): Promise<number> {
  const counts = await Promise.all(gateways.map((each) => metric(each, 'zasov_store_seconds_count')));
  return counts.reduce((sum, count) => sum + count, 0);
}

void test('ten people with ten requests a second over two gateways cost 0.05 store trips a request at most', async (t) => {
  const people = await Promise.all(
    Array.from({ length: 10 }, (_, index) => new Person(`p${index}`, gateways).signIn(index)),
  );
  await Promise.all(people.flatMap((person) => [person.visit(0), person.visit(1)]));
  // The gateways start to trust their memory when the first heartbeat is through.
  await pause(1000);
  await Promise.all(people.flatMap((person) => [person.visit(0), person.visit(1)]));
  const [before, beforeAtServer] = [await asked(), await scriptsRun()];
  const crowd = new Crowd(people, 95);
  crowd.start();
  await pause(32_000);
  const { wrong } = await crowd.stop();
  const [trips, scripts] = [(await asked()) - before, (await scriptsRun()) - beforeAtServer];
  t.same(wrong, []);
  t.comment(`${crowd.total} requests, ${trips} store questions, ${scripts} scripts at the server`);
  t.ok(crowd.total > 2500);
  t.ok(trips / crowd.total <= 0.05, `${(trips / crowd.total).toFixed(4)} questions a request`);
  t.ok(scripts / crowd.total <= 0.05, `${(scripts / crowd.total).toFixed(4)} scripts a request`);
  for (const person of people) person.close();
});
