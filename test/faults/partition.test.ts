/** One of two gateways loses its way to the store: it stops relying on its memory, and comes back without harm. */
import { setTimeout as pause } from 'node:timers/promises';
import tap, { test } from 'tap';
import type { Test } from 'tap';
import { CookieJar } from '../support/cookie-jar.ts';
import { startDelayProxy } from '../support/delay-proxy.ts';
import { startSingle, until } from '../support/redis-servers.ts';
import { Crowd } from './crowd.ts';
import { Person, type Seen, metric, startShared } from './shared-gateways.ts';

/** A heartbeat older than this is not believed any more (gateway/store/redis-push.ts), in ms. */
const HEARTBEAT_MS = 1000;

const redis = await startSingle();
const way = await startDelayProxy(redis.servers[0]?.port ?? 0);
const relayed = { kind: 'single', url: `redis://127.0.0.1:${way.port}` } as const;
// Copies would be good for 2.25 s, so that it is the heartbeat that ends their use.
const shared = await startShared([redis.place, relayed], '  rotate_every: 6s\n  grace: 3s\n');
const { gateways } = shared;
const [live, apart] = gateways;
const [LIVE, APART] = [0, 1];
tap.teardown(async () => {
  await shared.stop();
  await way.close();
  await redis.stop();
});

/** How often the gateway that is cut off has asked its store. */
async function asked(): Promise<number> {
  return apart === undefined ? 0 : await metric(apart, 'zasov_store_seconds_count');
}

/** Waits until the gateway that is cut off answers a person out of its memory. */
async function untilRemembered(person: Person): Promise<void> {
  await until(async () => {
    await person.visit(APART);
    const before = await asked();
    for (let round = 0; round < 5; round += 1) await person.visit(APART);
    // A background question of a tick may fall into it; five requests would be five.
    return (await asked()) - before < 5;
  }, 20_000);
}

async function noTheft(t: Test): Promise<void> {
  for (const gateway of gateways) t.equal(await metric(gateway, 'zasov_session_theft_total'), 0);
}

void test('a gateway cut off from the store lets nobody in from memory after a second, and heals without harm', async (t) => {
  const people = await Promise.all(
    Array.from({ length: 6 }, (_, index) => new Person(`p${index}`, gateways).signIn(index)),
  );
  const vera = await new Person('vera', gateways).signIn(LIVE);
  const copy = new Person('vera', gateways, CookieJar.copyOf(vera.jar));
  const quiet = await new Person('quiet', gateways).signIn(APART);
  await untilRemembered(copy);
  const rotations = live === undefined ? 0 : await metric(live, 'zasov_session_rotations_total');
  const crowd = new Crowd(people, 30);
  crowd.start();

  way.hold('all');
  const sinceMs = performance.now();
  t.equal(await vera.signOut(LIVE), 302);
  const late: Seen[] = [];
  let lastMemoryMs = 0;
  while (performance.now() - sinceMs < 7000) {
    const askedMs = performance.now() - sinceMs;
    const seen = await copy.visit(APART);
    if (askedMs > HEARTBEAT_MS) late.push(seen);
    else if (seen.status === 200) lastMemoryMs = askedMs;
    await pause(20);
  }
  t.comment(
    `last answer from memory ${Math.round(lastMemoryMs)} ms after the cut; ${late.length} later ones`,
  );
  t.ok(late.length > 1);
  for (const seen of late) t.match(seen, { status: 503, cleared: false, retryAfter: /^[1-9]/ });
  t.match(await quiet.visit(APART), { status: 503, cleared: false });
  await t.rejects(new Person('new', gateways).signIn(APART), /503/);
  const arrived = await new Person('arrived', gateways).signIn(LIVE);
  t.equal((await copy.visit(LIVE)).status, 401, 'the others know that the session is over');

  way.release();
  const healMs = performance.now();
  const everybody = [...people, quiet, arrived];
  await until(async () => {
    const seen = await Promise.all(everybody.map((person) => person.visit(APART)));
    return seen.every(({ status }) => status === 200);
  }, 15_000);
  t.comment(`served again ${Math.round(performance.now() - healMs)} ms after the way was open`);
  for (const gateway of [APART, LIVE]) t.equal((await copy.visit(gateway)).status, 401);
  // Long enough for another rotation, with ids that one gateway issued and the other confirms.
  await pause(7000);
  const { statuses, wrong } = await crowd.stop();
  t.comment(`answers: ${JSON.stringify([...statuses])}`);
  t.same(wrong, []);
  t.ok(live !== undefined && (await metric(live, 'zasov_session_rotations_total')) > rotations);
  for (const person of everybody) {
    for (const gateway of [LIVE, APART])
      t.match(await person.visit(gateway), { status: 200, user: person.name });
  }
  await noTheft(t);
  for (const person of [...everybody, vera, copy]) person.close();
});

void test('a gateway that hears no pushes asks the store every time, so that a revocation is effective', async (t) => {
  const anna = await new Person('anna', gateways).signIn(LIVE);
  const copy = new Person('anna', gateways, CookieJar.copyOf(anna.jar));
  const boris = await new Person('boris', gateways).signIn(APART);
  await untilRemembered(copy);
  way.hold('subscriptions');
  await pause(HEARTBEAT_MS + 50);
  const before = await asked();
  for (let round = 0; round < 20; round += 1) t.equal((await copy.visit(APART)).status, 200);
  t.ok((await asked()) - before >= 20, 'no answer came from memory');
  t.equal(await anna.signOut(LIVE), 302);
  t.equal((await copy.visit(APART)).status, 401, 'the very next request is refused');
  // Beyond the time after which a silent connection is given up and made anew, which is as silent.
  await pause(5000);
  t.match(await boris.visit(APART), { status: 200, user: 'boris' });
  way.release();
  await untilRemembered(boris);
  await noTheft(t);
  for (const person of [anna, copy, boris]) person.close();
});
