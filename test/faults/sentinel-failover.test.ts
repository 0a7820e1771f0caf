/** The primary dies under load and takes its last seconds along: nobody is signed out, nobody comes back. */
import { setTimeout as pause } from 'node:timers/promises';
import tap, { test } from 'tap';
import { CookieJar } from '../support/cookie-jar.ts';
import { deafenReplicas, startSentinels, until } from '../support/redis-servers.ts';
import { Crowd } from './crowd.ts';
import { Person, metric, startShared } from './shared-gateways.ts';

const redis = await startSentinels();
const shared = await startShared([redis.place, redis.place], '  rotate_every: 2s\n  grace: 1s\n');
const { gateways } = shared;
tap.teardown(async () => {
  await shared.stop();
  await redis.stop();
});

const [primary, replica] = redis.servers;
const people = await Promise.all(
  Array.from({ length: 8 }, (_, index) => new Person(`p${index}`, gateways).signIn(index)),
);
const leaving = await Promise.all(
  Array.from({ length: 4 }, (_, index) => new Person(`gone${index}`, gateways).signIn(index)),
);
const stolen = leaving.map(({ jar }) => CookieJar.copyOf(jar));
const copies = leaving.map(({ name, jar }) => new Person(name, gateways, CookieJar.copyOf(jar)));

void test('a failover that loses the last seconds signs nobody out, alarms nobody, revives nobody', async (t) => {
  const crowd = new Crowd(people, 40);
  crowd.start();
  await pause(1000);
  if (primary !== undefined) await deafenReplicas(primary);
  await pause(500);
  for (const person of leaving) t.equal(await person.signOut(0), 302);
  const late = await new Person('late', gateways).signIn(1);
  await pause(2500);
  await primary?.kill();
  const since = performance.now();
  await until(async () => (await late.visit(0)).status === 200, 20_000);
  t.comment(`served again after ${Math.round(performance.now() - since)} ms`);
  t.equal(String(await replica?.command('ROLE')).split(',')[0], 'master');
  await pause(4000);
  const { statuses, wrong } = await crowd.stop();
  t.comment(`answers: ${JSON.stringify([...statuses])}`);
  t.same(wrong, []);
  t.ok((statuses.get(200) ?? 0) > 300);
  t.match(await late.visit(1), { status: 200, user: 'late' });
  for (const gateway of gateways) t.equal(await metric(gateway, 'zasov_session_theft_total'), 0);
  for (const copy of copies) {
    t.equal((await copy.visit(0)).status, 401);
    t.equal((await copy.visit(1)).status, 401);
  }
  for (const person of [...people, ...leaving, ...copies, late]) person.close();
});

void test('what was ended is ended for a gateway that was not there', async (t) => {
  const { place } = redis;
  // A process without memory of the ends: only the store can tell it.
  const third = await startShared([place], '', shared.masterKey);
  t.teardown(third.stop);
  const statuses: number[] = [];
  for (const jar of [...stolen, ...people.slice(0, 1).map((person) => person.jar)]) {
    const person = new Person('copy', third.gateways, jar);
    statuses.push((await person.visit(0)).status);
    person.close();
  }
  t.same(statuses, [401, 401, 401, 401, 200], 'the last one is of a living session');
});
