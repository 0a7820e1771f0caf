/** A primary of a Cluster dies under load and takes its last seconds along: nobody is signed out, nobody comes back. */
import { setTimeout as pause } from 'node:timers/promises';
import tap, { test } from 'tap';
import { CookieJar } from '../support/cookie-jar.ts';
import { deafenReplicas, startReplicatedCluster, until } from '../support/redis-servers.ts';
import { Crowd } from './crowd.ts';
import { Person, metric, startShared } from './shared-gateways.ts';

const PRIMARIES = 3;
const redis = await startReplicatedCluster();
const shared = await startShared([redis.place, redis.place], '  rotate_every: 2s\n  grace: 1s\n');
const { gateways } = shared;
tap.teardown(async () => {
  await shared.stop();
  await redis.stop();
});

const primaries = redis.servers.slice(0, PRIMARIES);
const heir = redis.servers[PRIMARIES];
// So many that the primary which dies has some of each, whatever the slots of their ids.
const people = await Promise.all(
  Array.from({ length: 12 }, (_, index) => new Person(`p${index}`, gateways).signIn(index)),
);
const leaving = await Promise.all(
  Array.from({ length: 8 }, (_, index) => new Person(`gone${index}`, gateways).signIn(index)),
);
const stolen = leaving.map(({ jar }) => CookieJar.copyOf(jar));
const copies = leaving.map(({ name, jar }) => new Person(name, gateways, CookieJar.copyOf(jar)));

void test('a failover inside a Cluster that loses the last seconds signs nobody out and revives nobody', async (t) => {
  const crowd = new Crowd(people, 40);
  crowd.start();
  await pause(1000);
  for (const primary of primaries) await deafenReplicas(primary);
  await pause(500);
  for (const person of leaving) t.equal(await person.signOut(0), 302);
  // Longer than other changes are remembered: a replica that fell so far behind may still become the primary.
  await pause(11_000);
  const late = await Promise.all(
    Array.from({ length: 8 }, (_, index) => new Person(`late${index}`, gateways).signIn(index)),
  );
  await pause(1000);
  await primaries[0]?.kill();
  const since = performance.now();
  await until(async () => String(await heir?.command('ROLE')).startsWith('master'), 20_000);
  await until(async () => {
    const seen = await Promise.all([...late, ...people].map((person) => person.visit(0)));
    return seen.every(({ status }) => status === 200);
  }, 20_000);
  t.comment(`everybody is served again ${Math.round(performance.now() - since)} ms after the kill`);
  await pause(3000);
  const { statuses, wrong } = await crowd.stop();
  t.comment(`answers: ${JSON.stringify([...statuses])}`);
  t.same(wrong, []);
  t.ok((statuses.get(200) ?? 0) > 300);
  for (const person of late) t.match(await person.visit(1), { status: 200, user: person.name });
  for (const gateway of gateways) t.equal(await metric(gateway, 'zasov_session_theft_total'), 0);
  for (const copy of copies) {
    t.equal((await copy.visit(0)).status, 401);
    t.equal((await copy.visit(1)).status, 401);
  }
  for (const person of [...people, ...leaving, ...copies, ...late]) person.close();
});

void test('what was ended before the failover is ended for a gateway that was not there', async (t) => {
  const third = await startShared([redis.place], '', shared.masterKey);
  t.teardown(third.stop);
  const statuses: number[] = [];
  for (const jar of [...stolen, ...people.slice(0, 1).map((person) => person.jar)]) {
    const person = new Person('copy', third.gateways, jar);
    statuses.push((await person.visit(0)).status);
    person.close();
  }
  t.same(statuses, [...stolen.map(() => 401), 200], 'the last one is of a living session');
});
