/** Sessions outlive the gateway's process, however it ended; ended sessions do not come back with it. */
import { setTimeout as pause } from 'node:timers/promises';
import tap, { test } from 'tap';
import { SESSION_COOKIE } from '../../gateway/session/session.ts';
import { CookieJar } from '../support/cookie-jar.ts';
import { smallCrmPolicy, startSmallCrm } from '../support/small-crm.ts';
import { type RunningGateway, startGateway } from '../support/start-gateway.ts';
import { clientOf, signIn, whoAmI } from './small-crm-client.ts';

const crm = await startSmallCrm();
const policy = smallCrmPolicy(crm.origin, '  rotate_every: 1s\n  grace: 500ms\n');
let gateway: RunningGateway = await startGateway(policy);
tap.teardown(async () => {
  await gateway.program.stop();
  await crm.close();
});

/** Who the CRM sees when this jar is presented to the gateway that runs now. */
async function ask(jar: CookieJar): Promise<string | undefined> {
  const client = clientOf(gateway, jar);
  const user = await whoAmI(client);
  client.close();
  return user;
}

async function signedIn(login: string): Promise<CookieJar> {
  const client = clientOf(gateway);
  await signIn(client, login);
  client.close();
  return client.jar;
}

await test('a session goes on after the gateway was stopped and started', async (t) => {
  const jar = await signedIn('olga');
  const { ca } = gateway;
  t.equal(await gateway.program.stop(), 0);
  gateway = await startGateway(policy, gateway.data);
  t.equal(gateway.ca, ca, 'the local authority that people trust stays the same');
  t.equal(await ask(jar), 'olga');
});

await test('a session goes on after kill -9, with the newest identifier and with the one before', async (t) => {
  const jar = await signedIn('olga');
  await pause(1100);
  const before = CookieJar.copyOf(jar);
  t.equal(await ask(jar), 'olga');
  t.not(jar.get(SESSION_COOKIE), before.get(SESSION_COOKIE), 'a rotation is under way');
  await gateway.program.kill();
  gateway = await startGateway(policy, gateway.data);
  t.equal(await ask(before), 'olga', 'as if the answer had been lost with the process');
  t.equal(await ask(jar), 'olga');
});

await test('what was ended stays ended after kill -9', async (t) => {
  const signedOut = await signedIn('boris');
  const revoked = await signedIn('vera');
  const changed = await signedIn('galina');
  const copies = [signedOut, revoked, changed].map((jar) => CookieJar.copyOf(jar));
  const first = clientOf(gateway, signedOut);
  t.equal((await first.get('/logout')).status, 302);
  first.close();
  t.match(gateway.command('sessions', 'revoke', '--account', 'main', '--subject', 'vera'), { code: 0 });
  const third = clientOf(gateway, changed);
  t.equal((await third.post('/password', { new_password: 'another' })).status, 200);
  third.close();
  await gateway.program.kill();
  gateway = await startGateway(policy, gateway.data);
  for (const jar of copies) t.equal(await ask(jar), undefined);
});

await test('an application that is away ends no session', async (t) => {
  const jar = await signedIn('olga');
  const { port } = new URL(crm.origin);
  await crm.close();
  const client = clientOf(gateway, jar);
  const answer = await client.get('/whoami', { headers: { accept: 'application/json' } });
  t.ok([502, 503].includes(answer.status), `answered ${answer.status}`);
  t.notOk(answer.setCookies.some((header) => header.includes('Max-Age=0')));
  t.ok(jar.get(SESSION_COOKIE), `the cookie is kept while nothing listens on port ${port}`);
  client.close();
  t.match(gateway.command('sessions', 'list', '--subject', 'olga', '--json').stdout, /"state":\s*"active"/);
});
