/** Two workers count as one: requests, answer bytes and failed sign-ins, with the embedded store. */
import tap, { test } from 'tap';
import { CookieJar } from '../support/cookie-jar.ts';
import type { HttpsClient } from '../support/https-client.ts';
import { smallCrmPolicy, startSmallCrm } from '../support/small-crm.ts';
import { startGateway } from '../support/start-gateway.ts';
import { clientOf, signIn } from './small-crm-client.ts';
import { clientsOnWorkers } from './worker-node.ts';

const crm = await startSmallCrm();
const policy = smallCrmPolicy(crm.origin)
  .replace('path: /login }, access', 'path: [/login, "/login/**"] }, access')
  .replace(
    '  - { name: app,',
    '  - { name: few, match: { path: /few }, access: session, limit: few }\n  - { name: app,',
  )
  .replace('access: session }\nprotection', 'access: session, limit: person }\nprotection');
const gateway = await startGateway(`workers: 2
limits:
  few: { per: session, requests: 60/1h }
  person: { per: session, response_bytes: 200KiB/1h }
  login: { per: subject, failures: 4/15m }
${policy}`);
/** 4 KiB. */
const PAGE = '/download?bytes=4096';
const clients: HttpsClient[] = [];
tap.teardown(async () => {
  for (const client of clients) client.close();
  await gateway.program.stop();
  await crm.close();
});

async function onBoth(jar?: CookieJar): Promise<HttpsClient[]> {
  const both = await clientsOnWorkers(gateway, jar);
  clients.push(...both);
  return both;
}

async function signedIn(login: string): Promise<HttpsClient[]> {
  const client = clientOf(gateway);
  clients.push(client);
  await signIn(client, login);
  return await onBoth(client.jar);
}

/** Asks the workers in turn, up to so many times. @returns how many were answered before the first 429. */
async function countUntilRefused(both: readonly HttpsClient[], path: string, most: number): Promise<number> {
  for (let asked = 0; asked < most; asked += 1) {
    const answer = await both[asked % both.length]?.get(path);
    if (answer?.status === 429) return asked;
  }
  return most;
}

await test('requests of one session are counted over both workers', async (t) => {
  const both = await signedIn('anna');
  const passed = await countUntilRefused(both, '/few', 120);
  // Beyond the limit: a twentieth that a worker keeps to itself, and what comes while it tells (20 ms).
  t.ok(passed >= 60 && passed <= 78, `${passed} of 60 passed`);
});

await test('answer bytes of one session are counted over both workers', async (t) => {
  const both = await signedIn('boris');
  const [first] = both;
  const size = (await first?.get(PAGE))?.body.length ?? 0;
  t.ok(size > 0);
  const fair = Math.ceil((200 * 1024) / size);
  const passed = await countUntilRefused(both, PAGE, 2 * fair);
  t.ok(passed >= fair * 0.95 - 2 && passed <= fair * 1.15 + 2, `${passed} of ${fair} passed`);
});

await test('a name that was tried on one worker is closed on the other', async (t) => {
  const [one, two] = await onBoth();
  const guess = async (client: HttpsClient | undefined) =>
    (await client?.post('/login', { login: 'olga', password: 'wrong' }))?.status;
  for (let tries = 0; tries < 4; tries += 1) t.not(await guess(one), 429);
  t.equal(await guess(one), 429);
  t.equal(await guess(two), 429, 'from the first attempt on');
});
