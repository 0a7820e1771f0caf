/** Identifiers rotate across workers: nobody is signed out because two of them disagree, and a thief is still caught. */
import { setTimeout as pause } from 'node:timers/promises';
import tap, { test } from 'tap';
import { SESSION_COOKIE } from '../../gateway/session/session.ts';
import { CookieJar } from '../support/cookie-jar.ts';
import type { HttpsClient } from '../support/https-client.ts';
import { smallCrmPolicy, startSmallCrm } from '../support/small-crm.ts';
import { startGateway } from '../support/start-gateway.ts';
import { clientOf, signIn, whoAmI } from './small-crm-client.ts';
import { clientsOnWorkers, metric } from './worker-node.ts';

const ROTATE_MS = 1000;
const GRACE_MS = 500;
/** Longest gap between two requests of the owner on any connection. */
const DELTA_MS = 100;
/** R + G + 2δ, and the time for which a worker may go without asking the store. */
const BOUND_MS = ROTATE_MS + GRACE_MS + 2 * DELTA_MS + 0.75 * GRACE_MS;
/** What two busy cores add to the requests in between. */
const SLACK_MS = 600;

const crm = await startSmallCrm();
const policy = smallCrmPolicy(crm.origin, '  rotate_every: 1s\n  grace: 500ms\n  per_subject: 50\n');
const gateway = await startGateway(
  `workers: 2\n${policy.replace('path: /login }, access', 'path: [/login, "/login/**"] }, access')}`,
);
tap.teardown(async () => {
  await gateway.program.stop();
  await crm.close();
});

/** A person whose browser holds connections to both workers, with one jar. */
async function browserOf(login: string): Promise<{ jar: CookieJar; connections: HttpsClient[] }> {
  const first = clientOf(gateway);
  await signIn(first, login);
  const connections = await clientsOnWorkers(gateway, first.jar);
  first.close();
  return { jar: first.jar, connections };
}

await test('browsers with connections to both workers are never signed out while identifiers rotate', async (t) => {
  const people = ['olga', 'anna', 'vera', 'boris'];
  const browsers = await Promise.all(people.map((login) => browserOf(login)));
  const rotations = await metric(gateway, 'zasov_session_rotations_total');
  const untilMs = performance.now() + 8 * ROTATE_MS;
  const logouts: string[] = [];
  let requests = 0;
  await Promise.all(
    browsers.map(async ({ connections }, index) => {
      while (performance.now() < untilMs) {
        // A page loads from both connections at once; the last answer to arrive wins in the jar.
        const users = await Promise.all(connections.map((connection) => whoAmI(connection)));
        requests += users.length;
        for (const user of users) if (user !== people[index]) logouts.push(`${people[index]} became ${user}`);
        await pause(Math.random() * DELTA_MS);
      }
    }),
  );
  t.strictSame(logouts, []);
  const rotated = (await metric(gateway, 'zasov_session_rotations_total')) - rotations;
  t.ok(rotated >= 4 * 5, `${rotated} rotations in ${requests} requests`);
  t.equal(await metric(gateway, 'zasov_session_theft_total'), 0, 'and nobody is taken for a thief');
  for (const { connections } of browsers) for (const connection of connections) connection.close();
});

/** Asks over all connections in turn until the gateway says no or the time is over. @returns when each yes came. */
async function keepAsking(
  connections: readonly HttpsClient[],
  everyMs: number,
  untilMs: number,
  before: (connection: HttpsClient) => void = () => undefined,
): Promise<number[]> {
  const yes: number[] = [];
  for (let turn = 0; performance.now() < untilMs; turn += 1) {
    const connection = connections[turn % connections.length];
    if (connection === undefined) break;
    before(connection);
    if ((await whoAmI(connection)) === undefined) break;
    yes.push(performance.now());
    await pause(everyMs);
  }
  return yes;
}

for (const adopts of [true, false]) {
  const title = adopts ? 'adopts every rotation' : 'never adopts a rotation';
  await test(`a thief on the other worker who ${title} is out within R + G + 2δ and the local term`, async (t) => {
    const owner = await browserOf('galina');
    const copy = owner.jar.get(SESSION_COOKIE) ?? '';
    const stolen = CookieJar.copyOf(owner.jar);
    // The owner keeps to one worker and the thief to the other, so that each serves from its own memory.
    const [, theirs] = await clientsOnWorkers(gateway, stolen);
    const [ours] = owner.connections;
    if (ours === undefined || theirs === undefined) throw new Error('two workers are needed');
    const stolenMs = performance.now();
    const untilMs = stolenMs + 3 * BOUND_MS;
    const replay = (connection: HttpsClient): void => {
      if (!adopts) connection.jar.set(SESSION_COOKIE, copy);
    };
    const [, yes] = await Promise.all([
      keepAsking([ours], DELTA_MS, untilMs),
      keepAsking([theirs], DELTA_MS / 2, untilMs, replay),
    ]);
    const lastMs = (yes.at(-1) ?? stolenMs) - stolenMs;
    t.comment(
      `the thief's last answer came ${Math.round(lastMs)} ms after the theft, the bound is ${BOUND_MS} ms`,
    );
    t.ok(yes.length > 5, 'the thief was let in at first');
    t.ok(lastMs <= BOUND_MS + SLACK_MS);
    t.equal(await whoAmI(ours), undefined, 'the family is over');
    for (const connection of [...owner.connections, theirs]) connection.close();
  });
}
