/** What a copied cookie is worth, with a real gateway and real time: R = 2 s, G = 1 s. */
import { setTimeout as pause } from 'node:timers/promises';
import tap, { test } from 'tap';
import { SESSION_COOKIE } from '../../gateway/session/session.ts';
import { CookieJar } from '../support/cookie-jar.ts';
import type { HttpsClient } from '../support/https-client.ts';
import { smallCrmPolicy, startSmallCrm } from '../support/small-crm.ts';
import { startGateway } from '../support/start-gateway.ts';
import { clientOf, signIn, whoAmI } from './small-crm-client.ts';

const ROTATE_MS = 2000;
const GRACE_MS = 1000;
/** Longest gap between two requests of the victim. */
const DELTA_MS = 200;
/** R + G + 2δ, and what two busy cores add to each of the requests in between. */
const BOUND_MS = ROTATE_MS + GRACE_MS + 2 * DELTA_MS;
const SLACK_MS = 600;

const crm = await startSmallCrm();
const gateway = await startGateway(smallCrmPolicy(crm.origin, '  rotate_every: 2s\n  grace: 1s\n'));
const clients: HttpsClient[] = [];
const newClient = (jar?: CookieJar): HttpsClient => {
  const client = clientOf(gateway, jar);
  clients.push(client);
  return client;
};
tap.teardown(async () => {
  for (const client of clients) client.close();
  await gateway.program.stop();
  await crm.close();
});

/** Asks again and again until the gateway says no or the time is over. @returns when each yes came, in ms. */
async function keepAsking(client: HttpsClient, everyMs: number, untilMs: number): Promise<number[]> {
  const yes: number[] = [];
  while (performance.now() < untilMs) {
    if ((await whoAmI(client)) === undefined) break;
    yes.push(performance.now());
    await pause(everyMs);
  }
  return yes;
}

async function theftMetric(kind: string): Promise<number> {
  const text = await (await fetch(`${gateway.listeners.ops}/metrics`)).text();
  return Number(
    new RegExp(`^zasov_session_theft_total\\{kind="${kind}"\\} (\\d+)`, 'm').exec(text)?.[1] ?? 0,
  );
}

await test('an active person keeps the session through many rotations, and the identifier keeps changing', async (t) => {
  const person = newClient();
  await signIn(person, 'olga');
  const values = new Set<string | undefined>();
  const untilMs = performance.now() + 4 * (ROTATE_MS + DELTA_MS);
  while (performance.now() < untilMs) {
    // A page loads several things at once; each answer may bring the next identifier, the last to arrive wins.
    const users = await Promise.all(Array.from({ length: 4 }, () => whoAmI(person)));
    if (users.some((user) => user !== 'olga')) t.fail(`a request was answered for ${users.join(', ')}`);
    values.add(person.jar.get(SESSION_COOKIE));
    await pause(DELTA_MS);
  }
  t.ok(values.size >= 4, `${values.size} distinct identifiers`);
});

await test('a cookie copied and used after its owner moved on gets nothing and ends the session', async (t) => {
  const reuses = await theftMetric('reuse');
  const victim = newClient();
  await signIn(victim, 'olga');
  const thief = newClient(CookieJar.copyOf(victim.jar));
  t.equal(await whoAmI(thief), 'olga', 'at once the copy is as good as the original');
  // Two rotations on: one step back could be a crashed browser, two are somebody else.
  const yes = await keepAsking(victim, DELTA_MS, performance.now() + 2 * BOUND_MS);
  t.ok(yes.length > 5, 'the owner was at work meanwhile');

  const answer = await thief.get('/whoami', { headers: { accept: 'application/json' } });
  t.equal(answer.status, 401);
  t.match(JSON.parse(answer.text), { code: 'session_ended' });
  t.notMatch(answer.text, 'olga');
  t.equal(await whoAmI(victim), undefined, 'the whole family is over');
  t.equal(await theftMetric('reuse'), reuses + 1);
});

await test('a thief who adopts every rotation is out within R + G + 2δ', async (t) => {
  const victim = newClient();
  await signIn(victim, 'olga');
  const thief = newClient(CookieJar.copyOf(victim.jar));
  const stolenMs = performance.now();
  const untilMs = stolenMs + 3 * BOUND_MS;
  const [, yes] = await Promise.all([
    keepAsking(victim, DELTA_MS, untilMs),
    keepAsking(thief, DELTA_MS / 2, untilMs),
  ]);
  const lastMs = (yes.at(-1) ?? stolenMs) - stolenMs;
  t.comment(
    `the thief's last answer came ${Math.round(lastMs)} ms after the theft, the bound is ${BOUND_MS} ms`,
  );
  t.ok(yes.length > 5, 'the thief was let in at first');
  t.ok(lastMs <= BOUND_MS + SLACK_MS);
  t.equal(await whoAmI(thief), undefined);
  t.equal(await whoAmI(victim), undefined);
});

await test('a thief who never adopts a rotation is out within R + G + 2δ of an active owner', async (t) => {
  const victim = newClient();
  await signIn(victim, 'olga');
  const copy = victim.jar.get(SESSION_COOKIE) ?? '';
  const thief = newClient(CookieJar.copyOf(victim.jar));
  const stolenMs = performance.now();
  const untilMs = stolenMs + 3 * BOUND_MS;
  const replay = async (): Promise<number[]> => {
    const yes: number[] = [];
    while (performance.now() < untilMs) {
      thief.jar.set(SESSION_COOKIE, copy);
      if ((await whoAmI(thief)) === undefined) break;
      yes.push(performance.now());
      await pause(DELTA_MS / 2);
    }
    return yes;
  };
  const [, yes] = await Promise.all([keepAsking(victim, DELTA_MS, untilMs), replay()]);
  const lastMs = (yes.at(-1) ?? stolenMs) - stolenMs;
  t.comment(`the thief's last answer came ${Math.round(lastMs)} ms after the theft`);
  t.ok(lastMs <= BOUND_MS + SLACK_MS);
  t.equal(await whoAmI(victim), undefined);
});

await test('a thief with the copy of a signed-out session gets nothing', async (t) => {
  const victim = newClient();
  await signIn(victim, 'olga');
  const thief = newClient(CookieJar.copyOf(victim.jar));
  t.equal((await victim.get('/logout')).status, 302);
  t.equal(await whoAmI(thief), undefined);
  t.equal(await whoAmI(victim), undefined);
});

await test('an identifier planted before the login is worth nothing after it', async (t) => {
  const victim = newClient();
  await victim.get('/login');
  const attacker = newClient(CookieJar.copyOf(victim.jar));
  t.ok(attacker.jar.get(SESSION_COOKIE), 'there is an anonymous session to plant');
  await signIn(victim, 'olga');
  t.equal(await whoAmI(attacker), undefined);
  t.equal(await whoAmI(victim), 'olga');
});
