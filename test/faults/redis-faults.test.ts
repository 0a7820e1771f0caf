/** What a gateway does when its Redis is frozen, gone, slow, full, forgetful or empty. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import tap, { test } from 'tap';
import { CookieJar } from '../support/cookie-jar.ts';
import { startDelayProxy } from '../support/delay-proxy.ts';
import { type RedisServer, startRedis, until } from '../support/redis-servers.ts';
import { Crowd } from './crowd.ts';
import { Person, metric, startShared } from './shared-gateways.ts';

/** What was answered survives the server's end. */
const DURABLE = ['appendonly yes', 'appendfsync always'];

let redis: RedisServer = await startRedis(DURABLE);
const { port, directory } = redis;
const proxy = await startDelayProxy(port);
const place = { kind: 'single', url: `redis://127.0.0.1:${proxy.port}` } as const;
const shared = await startShared([place, place], '  rotate_every: 2s\n  grace: 1s\n');
const { gateways } = shared;
const names = ['anna', 'boris', 'vera', 'galina'];
const people = await Promise.all(names.map((name, index) => new Person(name, gateways).signIn(index)));
tap.teardown(async () => {
  for (const person of people) person.close();
  await shared.stop();
  await proxy.close();
  await redis.kill();
});

async function thefts(): Promise<number> {
  const counts = await Promise.all(gateways.map((each) => metric(each, 'zasov_session_theft_total')));
  return counts.reduce((sum, count) => sum + count, 0);
}

async function allServed(): Promise<boolean> {
  const seen = await Promise.all(people.flatMap((person) => [person.visit(0), person.visit(1)]));
  return seen.every(({ status }) => status === 200);
}

void test('a script cache that was lost is not noticed', async (t) => {
  const crowd = new Crowd(people, 10);
  crowd.start();
  for (let round = 0; round < 10; round += 1) {
    await redis.command('SCRIPT', 'FLUSH');
    await pause(200);
  }
  const { statuses, wrong } = await crowd.stop();
  t.same(wrong, []);
  t.same([...statuses.keys()], [200]);
});

void test('a store that takes 300 ms serves everybody', async (t) => {
  proxy.delayMs = 150;
  const crowd = new Crowd(people, 20);
  crowd.start();
  await pause(5000);
  proxy.delayMs = 0;
  const { statuses, wrong } = await crowd.stop();
  t.same(wrong, []);
  t.same([...statuses.keys()], [200]);
});

void test('a full store goes on with sessions and ends them; only new ones have to wait', async (t) => {
  const leaving = await new Person('leaving', gateways).signIn(0);
  await redis.command('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
  await redis.command('CONFIG', 'SET', 'maxmemory', '100kb');
  const crowd = new Crowd(people, 20);
  crowd.start();
  await t.rejects(new Person('new', gateways).signIn(0), /503/);
  await pause(3000);
  const copy = new Person('leaving', gateways, CookieJar.copyOf(leaving.jar));
  t.equal(await leaving.signOut(0), 302);
  t.equal((await copy.visit(1)).status, 401);
  const { statuses, wrong } = await crowd.stop();
  t.same(wrong, []);
  t.same([...statuses.keys()], [200]);
  await redis.command('CONFIG', 'SET', 'maxmemory', '0');
  const arrived = await new Person('new', gateways).signIn(0);
  for (const person of [leaving, copy, arrived]) person.close();
});

void test('a store that stands still for ten seconds costs 503s and no session', async (t) => {
  const crowd = new Crowd(people, 50);
  crowd.start();
  redis.signal('SIGSTOP');
  await pause(2500);
  const since = performance.now();
  const refused = await people[0]?.visit(0);
  t.match(refused, { status: 503, cleared: false });
  t.ok(Number(refused?.retryAfter) >= 1);
  t.ok(performance.now() - since < 2500, 'nobody waits for long');
  await pause(7000);
  redis.signal('SIGCONT');
  await until(allServed, 15_000);
  const { statuses, wrong } = await crowd.stop();
  t.comment(JSON.stringify([...statuses]));
  t.same(wrong, []);
  t.equal(await thefts(), 0);
});

void test('a store that is gone costs 503s, and everything is back with it', async (t) => {
  const crowd = new Crowd(people, 50);
  crowd.start();
  await redis.kill();
  await pause(1500);
  t.match(await people[1]?.visit(1), { status: 503, cleared: false });
  await t.rejects(new Person('new', gateways).signIn(0), /503/);
  await pause(3000);
  redis = await startRedis(DURABLE, port, directory);
  await until(allServed, 15_000);
  const { statuses, wrong } = await crowd.stop();
  t.comment(JSON.stringify([...statuses]));
  t.same(wrong, []);
  t.equal(await thefts(), 0);
});

void test('a store that comes back empty makes people sign in again and alarms nobody', async (t) => {
  await pause(100);
  await redis.kill();
  rmSync(join(directory, 'appendonlydir'), { recursive: true });
  redis = await startRedis(DURABLE, port, directory);
  const answers = new Set<number>();
  await until(async () => {
    const seen = await Promise.all(people.map((person) => person.visit(0)));
    for (const [index, { status, user }] of seen.entries()) {
      answers.add(status);
      if (status === 200) t.equal(user, names[index]);
    }
    return seen.every(({ status }) => status === 401);
  }, 30_000);
  t.same(
    [...answers].filter((status) => ![200, 401, 503].includes(status)),
    [],
  );
  t.equal(await thefts(), 0);
  await Promise.all(people.map((person) => person.signIn(1)));
  t.ok(await allServed());
});
