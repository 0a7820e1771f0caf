/** The page on which people see and end their own keys and sessions, over real sockets. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import tap, { test } from 'tap';
import { SESSION_COOKIE } from '../../gateway/session/session.ts';
import { CookieJar } from '../support/cookie-jar.ts';
import type { Answer, HttpsClient } from '../support/https-client.ts';
import { smallCrmPolicy, startSmallCrm } from '../support/small-crm.ts';
import { startGateway } from '../support/start-gateway.ts';
import { clientOf, signIn, whoAmI } from './small-crm-client.ts';

const PAGE = '/.zasov/account';
const crm = await startSmallCrm();
const policy = `${smallCrmPolicy(crm.origin).replace('routes:\n', 'routes:\n  - { name: api, match: { path: "/api/**" }, access: api_key }\n')}
api_keys: { own_keys: 2 }
`;
const gateway = await startGateway(policy);
const clients: HttpsClient[] = [];
tap.teardown(async () => {
  for (const client of clients) client.close();
  await gateway.program.stop();
  await crm.close();
});

async function person(name: string, agent?: string): Promise<HttpsClient> {
  const client = clientOf(gateway);
  clients.push(client);
  if (agent === undefined) await signIn(client, name);
  else {
    const headers = { 'user-agent': agent };
    await client.get('/login', { headers });
    await client.post('/login', { login: name, password: 'correct horse' }, headers);
  }
  return client;
}

const open = (client: HttpsClient, headers: Record<string, string> = {}): Promise<Answer> =>
  client.get(PAGE, { headers: { accept: 'text/html', ...headers } });

function tokenOf(page: Answer): string {
  return /name="token" value="([^"]+)"/.exec(page.text)?.[1] ?? '';
}

/** As a browser submits one of the page's forms. */
async function submit(
  client: HttpsClient,
  form: Record<string, string>,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const token = form.token ?? tokenOf(await open(client));
  const own = { accept: 'text/html', 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'navigate' };
  return await client.post(PAGE, { ...form, token }, { ...own, ...headers });
}

function issue(subject: string): { id: string; key: string } {
  const words = ['keys', 'issue', '--account', 'main', '--subject', subject, '--label', 'export', '--json'];
  return JSON.parse(gateway.command(...words).stdout) as { id: string; key: string };
}

function keyIds(page: Answer): string[] {
  return [
    ...page.text.matchAll(/name="action" value="revoke"><input type="hidden" name="id" value="(\w+)"/g),
  ].map(([, id = '']) => id);
}

function sessionIds(page: Answer): string[] {
  return [
    ...page.text.matchAll(/name="action" value="end"><input type="hidden" name="id" value="([\w-]+)"/g),
  ].map(([, id = '']) => id);
}

const shownKey = (page: Answer): string | undefined => /zsv_\w{14}_\w+/.exec(page.text)?.[0];

const codeOf = async (client: HttpsClient, key: string): Promise<unknown> => {
  const answer = await client.get('/api/x', { headers: { 'x-api-key': key } });
  return answer.status === 200 ? 200 : (JSON.parse(answer.text) as { code: string }).code;
};

await test('strangers are sent to sign in, programs are told so, and other methods are refused', async (t) => {
  const stranger = clientOf(gateway);
  clients.push(stranger);
  const page = await open(stranger);
  t.strictSame([page.status, page.header('location')], [302, '/login']);
  t.equal((await stranger.get(PAGE)).status, 401);
  t.equal((await stranger.post(PAGE, { action: 'end-others' })).status, 401);
  const put = await (await person('anna')).send('PUT', PAGE, { body: '' });
  t.strictSame([put.status, put.header('allow')], [405, 'GET, HEAD, POST']);
});

await test('the page speaks Russian and English, is kept nowhere, runs no script and tells nobody its address', async (t) => {
  const client = await person('clara', 'Mozilla/5.0 (Windows NT 10.0) Gecko/20100101 Firefox/140.0');
  const headers = { 'user-agent': 'Mozilla/5.0 (Windows NT 10.0) Gecko/20100101 Firefox/140.0' };
  const english = await open(client, headers);
  t.equal(english.status, 200);
  t.match(english.text, /<html lang="en">[\s\S]*Firefox on Windows[\s\S]*this device[\s\S]*127\.0\.0\.0\/24/);
  t.match(english.text, 'You have no API key');
  const russian = await open(client, { ...headers, 'accept-language': 'ru-RU,ru;q=0.9,en;q=0.5' });
  t.match(russian.text, /<html lang="ru">[\s\S]*Firefox на Windows[\s\S]*это устройство/);
  t.equal(english.header('cache-control'), 'no-store');
  t.equal(english.header('referrer-policy'), 'no-referrer');
  t.match(
    english.header('content-security-policy'),
    /^default-src 'none'; style-src 'sha256-[\w+/=]+'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'$/,
  );
  t.notMatch(english.text, /<script|style=|onclick|javascript:/i);
  const chosen = await client.get(`${PAGE}?lang=ru`, { headers });
  t.strictSame([chosen.status, chosen.header('location')], [303, PAGE]);
  t.match((await open(client, { ...headers, 'accept-language': 'en' })).text, '<html lang="ru">');
  const head = await client.send('HEAD', PAGE, { headers });
  t.strictSame([head.status, head.body.length], [200, 0]);
});

await test('a form of another site, without a token, or with the token of another session does nothing', async (t) => {
  const anna = await person('anna');
  const boris = await person('boris');
  const { id, key } = issue('anna');
  const token = tokenOf(await open(anna));
  const foreign: Record<string, string>[] = [
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
    { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' },
  ];
  for (const headers of foreign)
    t.equal((await submit(anna, { action: 'revoke', id, token }, headers)).status, 403);
  const old = await anna.post(
    PAGE,
    { action: 'revoke', id, token },
    { origin: 'https://evil.example', accept: 'text/html' },
  );
  t.equal(old.status, 403, 'a browser that says no more than its origin');
  for (const wrong of ['', 'x', tokenOf(await open(boris))]) {
    const answer = await submit(anna, { action: 'revoke', id, token: wrong });
    t.equal(answer.status, 403);
    t.match(answer.text, 'Nothing was changed');
  }
  t.equal(
    (await anna.send('POST', PAGE, { body: '{"action":', headers: { 'content-type': 'application/json' } }))
      .status,
    403,
  );
  t.equal((await anna.send('POST', PAGE, { body: 'x'.repeat(20_000) })).status, 413);
  t.equal(await codeOf(anna, key), 200, 'the key works still');
  t.equal((await submit(anna, { action: 'revoke', id, token })).status, 303);
  t.equal(await codeOf(anna, key), 'key_revoked');
});

await test('a key that was replaced is shown once: not on reload, not to others, and the one before stops', async (t) => {
  const dora = await person('dora');
  const { id, key } = issue('dora');
  await codeOf(dora, key);
  const before = await open(dora);
  t.match(before.text, id);
  t.match(before.text, /now<small>from 127\.0\.0\.0\/24/, 'when and from where it was used');
  t.notMatch(before.text, key);
  const answer = await submit(dora, { action: 'rotate', id });
  t.strictSame([answer.status, answer.header('location')], [303, PAGE]);
  t.notMatch(JSON.stringify(answer.setCookies), 'zsv_', 'the cookie that carries it is sealed');
  const copied = CookieJar.copyOf(dora.jar);
  t.equal(shownKey(await dora.send('HEAD', PAGE)), undefined);
  const successor = shownKey(await open(dora)) ?? '';
  t.equal(shownKey(await open(dora)), undefined, 'a reload shows nothing');
  t.equal(await codeOf(dora, key), 'key_rotated');
  t.equal(await codeOf(dora, successor), 200);
  const emil = await person('emil');
  emil.jar.set('__Host-zasov-flash', copied.get('__Host-zasov-flash') ?? '');
  t.equal(shownKey(await open(emil)), undefined, 'sealed for one session');
});

await test('a successor that waits is collected once by its owner and by nobody else', async (t) => {
  const first = await person('fedor');
  const { key } = issue('fedor');
  await first.post('/password', { new_password: 'x' });
  t.equal(await codeOf(first, key), 'key_rotated');
  const fedor = await person('fedor');
  const page = await open(fedor);
  t.match(page.text, 'A new key waits for you');
  const [id = ''] = keyIds(page);
  const gleb = await person('gleb');
  await submit(gleb, { action: 'reveal', id });
  const denied = await open(gleb);
  t.equal(shownKey(denied), undefined);
  t.equal((await submit(fedor, { action: 'reveal', id })).status, 303);
  const revealed = shownKey(await open(fedor)) ?? '';
  t.equal(await codeOf(fedor, revealed), 200);
  await submit(fedor, { action: 'reveal', id });
  const again = await open(fedor);
  t.equal(shownKey(again), undefined);
  t.match(again.text, 'collected before');
});

await test('another person’s key or session cannot be touched', async (t) => {
  const hanna = await person('hanna');
  const { id, key } = issue('hanna');
  const other = await person('hanna');
  const [theirs = ''] = sessionIds(await open(hanna));
  const ivan = await person('ivan');
  for (const form of [
    { action: 'rotate', id },
    { action: 'revoke', id },
    { action: 'end', id: theirs },
  ]) {
    t.equal((await submit(ivan, form)).status, 303);
    const told = await open(ivan);
    t.match(told.text, 'no longer there', 'no different from an id that does not exist');
    t.notMatch(told.text, id);
  }
  await submit(ivan, { action: 'end-others' });
  t.equal(await codeOf(ivan, key), 200);
  t.equal(await whoAmI(other), 'hanna');
  t.equal(await whoAmI(hanna), 'hanna');
});

await test('a person ends one session, all the others, and the own', async (t) => {
  const [one, two, three] = [await person('jana'), await person('jana'), await person('jana')];
  const page = await open(one);
  t.equal(sessionIds(page).length, 2);
  await submit(one, { action: 'end', id: sessionIds(page)[0] ?? '' });
  const alive = async () =>
    (await Promise.all([one, two, three].map((each) => whoAmI(each)))).filter((name) => name === 'jana')
      .length;
  t.equal(await alive(), 2);
  await submit(one, { action: 'end-others' });
  t.match((await open(one)).text, 'All other sessions were ended');
  t.equal(await alive(), 1);
  t.equal(await whoAmI(one), 'jana');
  const out = await submit(one, { action: 'sign-out' });
  t.strictSame([out.status, out.header('location')], [303, '/login']);
  t.equal(one.jar.get(SESSION_COOKIE), undefined);
  t.equal(await alive(), 0);
});

await test('what a person does to a key is on record before it is done', async (t) => {
  const client = await person('olaf');
  const { id } = issue('olaf');
  await submit(client, { action: 'revoke', id });
  const folder = join(gateway.data, 'audit');
  const lines = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((file) => file.isFile())
    .flatMap(({ parentPath, name }) => readFileSync(join(parentPath, name), 'utf8').split('\n'));
  const line = lines.find((each) => each.includes('"key.revoke"') && each.includes(id)) ?? '';
  t.match(line, '"by":"owner"');
  t.notMatch(line, 'olaf', 'and names nobody');
});

await test('people make keys as the policy allows, and no more', async (t) => {
  const client = await person('karl');
  const keys: string[] = [];
  for (const label of ['<b>one</b>', 'two']) {
    t.match(await open(client), { text: 'Make a key' });
    t.equal((await submit(client, { action: 'create', label })).status, 303);
    keys.push(shownKey(await open(client)) ?? '');
  }
  t.equal(await codeOf(client, keys[1] ?? ''), 200);
  const full = await open(client);
  t.notMatch(full.text, 'Make a key');
  t.match(full.text, '&lt;b&gt;one&lt;/b&gt;');
  await submit(client, { action: 'create', label: 'three' });
  const refused = await open(client);
  t.match(refused.text, 'as many keys as you may have');
  t.equal(shownKey(refused), undefined);
  const hasty = await person('nina');
  const token = tokenOf(await open(hasty));
  const clones = Array.from({ length: 8 }, () => clientOf(gateway, hasty.jar));
  clients.push(...clones);
  await Promise.all(clones.map((each) => submit(each, { action: 'create', label: 'x', token })));
  const listed = gateway.command('keys', 'list', '--subject', 'nina', '--json').stdout;
  const rows = JSON.parse(listed) as { state: string }[];
  t.ok(rows.filter(({ state }) => state === 'active').length <= 2, 'however many are asked for at once');
});

await test('a stolen cookie and a key that is over show as alarms to their owner', async (t) => {
  const lena = await person('lena');
  const { id, key } = issue('lena');
  gateway.command('keys', 'revoke', id);
  t.equal(await codeOf(lena, key), 'key_revoked');
  const thief = clientOf(gateway);
  clients.push(thief);
  thief.jar.set(SESSION_COOKIE, lena.jar.get(SESSION_COOKIE) ?? '');
  await thief.get('/', { headers: { 'user-agent': 'another browser' } });
  t.not(await whoAmI(lena), 'lena', 'the copy ended the session');
  const back = await person('lena');
  const alarms = async () =>
    [...(await open(back)).text.matchAll(/<li><span>([^<]*)<\/span><span class="small"><time/g)].map(
      ([, text]) => text,
    );
  const deadlineMs = performance.now() + 10_000;
  while ((await alarms()).length < 2 && performance.now() < deadlineMs) await pause(50);
  t.strictSame(
    (await alarms()).toSorted((a = '', b = '') => a.localeCompare(b)),
    [
      'A key of yours that was replaced or revoked is still being used.',
      'Your session turned up on another device or network. It was ended.',
    ],
  );
  t.match((await open(back)).text, id);
  t.notMatch((await open(await person('mark'))).text, 'class="card alarms"', 'nobody else sees them');
});
