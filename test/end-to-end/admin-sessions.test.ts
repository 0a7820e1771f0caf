/** Sessions of administrators: short, bound to the certificate, apart from everybody else's. */
import { request } from 'node:https';
import tap, { test } from 'tap';
import { SESSION_COOKIE } from '../../gateway/session/session.ts';
import { metricOf } from '../support/admin-gateway.ts';
import { HttpsClient } from '../support/https-client.ts';
import { eventually } from '../support/wire.ts';
import { ADMIN_HOST, startAdminCrm } from './admin-crm.ts';

const crm = await startAdminCrm();
const { gateway, annas, borises, client, lastRequest } = crm;
tap.teardown(() => crm.stop());

await test('an administrator’s session holds the CRM’s cookies, and its id keeps changing', async (t) => {
  const person = client(annas);
  const first = await person.get('/admin');
  t.match(
    String(first.setCookies),
    /^__Host-Http-zasov-admin=[^;]+; Path=\/; Secure; HttpOnly; SameSite=Lax; Max-Age=288\d\d$/,
  );
  const [listed] = sessionsOf('Anna');
  t.match(listed, { account: 'acme', subject: 'Anna', state: 'active', administrator: true });
  await person.post('/login', { user: 'anna' });
  await person.get('/admin');
  t.same(lastRequest().values('cookie'), ['SID=in'], 'put back by the gateway, never seen by the browser');
  t.match(lastRequest().values('x-zasov-auth'), ['admin'], 'signing in to the CRM makes nobody else of her');
  await person.get('/admin/own-login');
  await person.get('/admin');
  t.match(
    lastRequest().values('cookie'),
    [/^SID=own/],
    'a sign-in that no rule knows is no loss of the session',
  );
  const ids = new Set<string>();
  await eventually(async () => {
    ids.add(person.jar.header());
    await person.get('/admin');
    return ids.size >= 3;
  }, 10_000);
  person.close();
});

function sessionsOf(subject: string): { id: string; subject: string; generation: number }[] {
  const rows = JSON.parse(gateway.command('sessions', 'list', '--json').stdout) as {
    id: string;
    subject: string;
    generation: number;
  }[];
  return rows.filter((row) => row.subject === subject);
}

await test('a session without its certificate, or with the other’s, is worthless and an alarm', async (t) => {
  const cases: [who: string, thief: () => HttpsClient][] = [
    ['with the certificate of the other', () => client(borises)],
    ['without a certificate', () => client()],
    ['on the public listener, as the cookie of a person', () => crm.person()],
  ];
  for (const [who, openThief] of cases) {
    const person = client(annas);
    await person.get('/admin');
    await person.post('/login', { user: 'anna' });
    const cookie = person.jar.header();
    const counted = await metricOf(gateway, 'zasov_session_theft_total', 'kind="certificate"');
    const thief = openThief();
    const stolen = who.startsWith('on') ? cookie.replace(/^[^=]+/, SESSION_COOKIE) : cookie;
    const answer = await thief.get(who.startsWith('on') ? '/leads' : '/admin', {
      headers: { cookie: stolen },
    });
    if (!who.startsWith('on')) t.notSame(lastRequest().values('cookie'), ['SID=in'], who);
    t.not(answer.status === 200 && who.startsWith('on'), true, who);
    await eventually(
      async () =>
        (await metricOf(gateway, 'zasov_session_theft_total', 'kind="certificate"')) === counted + 1,
      5000,
      () => `an alarm ${who}`,
    );
    t.equal((await person.get('/admin')).status, 200, 'her certificate still opens');
    t.same(lastRequest().values('cookie'), [], 'but the session is over');
    t.equal((await person.send('GET', '/admin')).status, 200);
    thief.close();
    person.close();
  }
});

await test('what was prepared in a session that is over is not carried out', async (t) => {
  const person = client(annas);
  await person.get('/admin');
  const cookie = person.jar.header();
  gateway.command('sessions', 'revoke', '--account', 'acme', '--subject', 'Anna');
  const answer = await person.send('POST', '/admin/users', { headers: { cookie } });
  t.match(JSON.parse(answer.text), { status: 401, code: 'session_ended' });
  t.match(String(answer.setCookies), /^__Host-Http-zasov-admin=; /);
  person.close();
});

await test('the two listeners of one host do not take each other’s cookies', async (t) => {
  const person = crm.person();
  await person.post('/login', { user: 'anna' });
  // Browsers do not tell ports apart: both listeners see both cookies.
  const administrator = new HttpsClient(crm.target(annas, ADMIN_HOST), person.jar);
  const counted = await metricOf(gateway, 'zasov_session_theft_total');
  for (let round = 0; round < 3; round += 1) {
    t.equal((await administrator.get('/admin')).status, 200);
    t.equal((await person.get('/leads')).status, 200);
    t.same(lastRequest().values('x-zasov-subject'), ['anna']);
  }
  t.match(person.jar.header(), /zasov=.*zasov-admin=|zasov-admin=.*zasov=/);
  t.equal(await metricOf(gateway, 'zasov_session_theft_total'), counted);
  administrator.close();
  person.close();
});

await test('a name that is also somebody’s in the CRM is two people', async (t) => {
  const person = crm.person();
  await person.post('/login', { user: 'Anna' });
  const administrator = client(annas);
  await administrator.get('/admin');
  await administrator.post('/admin/password', { user: 'Anna', new: 'x' });
  t.equal((await person.get('/leads')).status, 401, 'the person whose password was changed is signed out');
  const { id } = sessionsOf('Anna')[0] ?? { id: '' };
  t.ok(id, 'the administrator is not');
  administrator.close();
  person.close();
});

await test('a stream of an administrator ends with the session', async (t) => {
  const person = client(annas);
  await person.get('/admin');
  const stream = request({
    ...crm.target(annas, ADMIN_HOST),
    host: '127.0.0.1',
    servername: ADMIN_HOST,
    path: '/admin/events',
    headers: { host: ADMIN_HOST, cookie: person.jar.header(), 'user-agent': 'zasov-test' },
  });
  stream.on('error', () => undefined);
  let isOver = false;
  stream.on('response', (answer) => {
    answer.resume();
    answer.on('close', () => (isOver = true));
  });
  stream.end();
  await eventually(async () => (await metricOf(gateway, 'zasov_streams_active', 'kind="sse"')) === 1, 5000);
  gateway.command('sessions', 'revoke', '--account', 'acme', '--subject', 'Anna');
  await eventually(
    () => isOver,
    3000,
    () => 'the end of the stream',
  );
  person.close();
  t.ok(isOver);
});
