/** Who the upstream is told that somebody is: nobody can forge it, and one account never reaches another. */
import { createPublicKey, verify } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import tap, { test } from 'tap';
import { accountPolicy, startAccountCrm, Visitors } from '../support/account-crm.ts';
import { startGateway } from '../support/start-gateway.ts';
import { Wire } from '../support/wire.ts';

const upstream = await startAccountCrm();
const [byHost, byHeader] = await Promise.all([
  startGateway(accountPolicy('{ host: "{account}.crm.localhost" }', upstream.origin)),
  startGateway(accountPolicy('{ header: X-Account }', upstream.origin)),
]);
const people = new Visitors(byHost);
const byHeaderPeople = new Visitors(byHeader);
tap.teardown(async () => {
  people.close();
  byHeaderPeople.close();
  await Promise.all([byHost.program.stop(), byHeader.program.stop()]);
  await upstream.close();
});

/** How many requests reach the upstream while something runs. */
async function arrivals(work: () => Promise<unknown>): Promise<number> {
  const before = upstream.requests.length;
  await work();
  return upstream.requests.length - before;
}

function sent(name: string): string[] {
  return upstream.requests.at(-1)?.values(name) ?? [];
}

async function lineOf(read: () => string, text: string): Promise<string> {
  for (let tries = 0; tries < 250; tries += 1) {
    const line = read()
      .split('\n')
      .find((each) => each.includes(text));
    if (line !== undefined) return line;
    await pause(20);
  }
  throw new Error(`no line with ${text}`);
}

const logLine = (text: string) => lineOf(() => byHost.program.output.stderr, text);

function auditLine(text: string): Promise<string> {
  const folder = join(byHost.data, 'audit');
  const files = () => readdirSync(folder).filter((name) => name.endsWith('.jsonl'));
  return lineOf(
    () =>
      files()
        .map((name) => readFileSync(join(folder, name), 'utf8'))
        .join(''),
    text,
  );
}

const SPELLINGS = [
  'X-Zasov-Subject',
  'x-zasov-subject',
  'X-ZASOV-SUBJECT',
  'X_Zasov_Subject',
  'X-Zasov_Subject',
  'x.zasov.subject',
  "X'Zasov'Subject",
  'X-Zasov-Account',
  'X_ZASOV_ACCOUNT',
  'X-Zasov-Auth',
  'X-Zasov-Assertion',
  'X_Zasov_Assertion',
  'X-Zasov-Anything',
  'Zasov-Session',
  'Zasov_Event',
  'X-Forwarded-For',
  'X_Forwarded_For',
  'X-Forwarded-User',
  'Forwarded',
  'X-Real-IP',
  'X_Real_IP',
  'X-Request-Id',
  'Traceparent',
];

await test('identity headers of a client never arrive, however they are spelled', async (t) => {
  const wire = await Wire.open(byHost);
  const forged = SPELLINGS.map((name) => `${name}: forged\r\n`).join('');
  wire.send(`GET /open HTTP/1.1\r\nHost: acme.crm.localhost\r\n${forged}\r\n`);
  t.equal((await wire.answer()).status, 200);
  t.notMatch(upstream.requests.at(-1)?.rawHeaders.join('\n') ?? '', /forged/);
  t.strictSame(sent('x-zasov-subject'), []);
  const person = await people.signedIn('olga');
  const cookie = person.jar.header();
  wire.send(
    `GET /app/ HTTP/1.1\r\nHost: acme.crm.localhost\r\nUser-Agent: zasov-test\r\nCookie: ${cookie}\r\n${forged}\r\n`,
  );
  t.equal((await wire.answer()).status, 200);
  t.notMatch(upstream.requests.at(-1)?.rawHeaders.join('\n') ?? '', /forged/);
  t.strictSame(sent('x-zasov-subject'), ['olga']);
  t.strictSame(sent('x-zasov-account'), ['acme']);
  t.strictSame(sent('x-zasov-auth'), ['session']);
  wire.close();
});

await test('a WebSocket handshake forges nothing either', async (t) => {
  const wire = await Wire.open(byHost);
  const forged = SPELLINGS.map((name) => `${name}: forged\r\n`).join('');
  wire.send(
    `GET /open HTTP/1.1\r\nHost: acme.crm.localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
      `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n${forged}\r\n`,
  );
  await wire.closed();
  t.match(wire.received, /^HTTP\/1\.1 200 /, 'this upstream knows no WebSockets');
  t.notMatch(upstream.requests.at(-1)?.rawHeaders.join('\n') ?? '', /forged/);
});

for (const user of ['olga@example.com', 'Ольга Петрова', 'a"b\\c=1,2;%41'])
  await test(`the assertion for ${user} verifies against the published keys`, async (t) => {
    const person = await people.signedIn(user);
    const { text } = await person.get('/.zasov/jwks.json');
    const { keys } = JSON.parse(text) as { keys: Record<string, string>[] };
    await person.get('/app/page');
    const [assertion = ''] = sent('x-zasov-assertion');
    const [head = '', payload = '', signature = ''] = assertion.split('.');
    const { alg, kid } = decode(head);
    t.equal(alg, 'ES256');
    const jwk = keys.find((key) => key['kid'] === kid);
    t.match(jwk, { kty: 'EC', crv: 'P-256', alg: 'ES256', use: 'sig' });
    t.equal(jwk?.['d'], undefined, 'only the public part is published');
    const key = createPublicKey({ key: jwk ?? {}, format: 'jwk' });
    const bytes = Buffer.from(`${head}.${payload}`);
    const proof = Buffer.from(signature, 'base64url');
    t.ok(verify('sha256', bytes, { key, dsaEncoding: 'ieee-p1363' }, proof));
    const claims = decode(payload);
    t.match(claims, { iss: 'zasov', aud: 'crm', sub: user, account: 'acme', auth: 'session' });
    const { iat, exp } = claims as { iat: number; exp: number };
    t.equal(exp - iat, 60);
    t.ok(Math.abs(Date.now() / 1000 - iat) < 35, 'it was made for now');
    const [subject = ''] = sent('x-zasov-subject');
    t.equal(decodeURIComponent(subject), user);
    t.match(subject, /^[\x21-\x7e]+$/, 'no byte of it needs interpretation');
  });

function decode(part: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(part, 'base64url').toString()) as Record<string, unknown>;
}

await test('a cookie of one account is worth nothing in another, by host', async (t) => {
  const person = await people.signedIn('olga');
  const elsewhere = people.stranger('other.crm.localhost', person.jar);
  t.equal(await arrivals(() => elsewhere.get('/app/')), 0);
  const refused = await elsewhere.get('/app/');
  t.strictSame([refused.status, JSON.parse(refused.text).code], [403, 'account_mismatch']);
  const metrics = await (await fetch(`${byHost.listeners.ops}/metrics`)).text();
  t.match(metrics, /zasov_account_mismatch_total\{kind="session"\} 2/);
  t.match(await logLine('a session or key was used on another account'), /"account":"acme","asked":"other"/);
  t.match(await auditLine('account.mismatch'), /"account":"acme","asked":"other"/);
  const newcomer = people.stranger('other.crm.localhost', person.jar);
  t.equal((await newcomer.get('/login')).status, 200);
  t.equal((await newcomer.post('/login', { user: 'olga' })).status, 303, 'the sign-in stays open');
  t.equal((await newcomer.get('/app/')).status, 200);
  await elsewhere.get('/open');
  t.strictSame(sent('x-zasov-subject'), []);
  t.strictSame(sent('cookie'), [], 'nor does the vaulted cookie go along');
  t.match(JSON.parse((await elsewhere.get('/.zasov/session')).text), { authenticated: false });
  t.equal((await person.get('/app/')).status, 200, 'and at home it lives on');
});

await test('a cookie of one account is worth nothing in another, by header', async (t) => {
  const person = byHeaderPeople.stranger('localhost');
  const acme = { 'x-account': 'acme' };
  t.equal((await person.post('/login', { user: 'olga' }, acme)).status, 303);
  t.equal((await person.get('/app/', { headers: acme })).status, 200);
  t.strictSame(sent('x-zasov-account'), ['acme']);
  for (const headers of [{ 'x-account': 'other' }, { 'x-account': 'ACME' }, { 'x-account': 'acme, other' }]) {
    t.equal(await arrivals(() => person.get('/app/', { headers })), 0);
    await person.get('/open', { headers });
    t.notMatch(sent('cookie').join(''), /APPSID/);
  }
  t.equal((await person.get('/app/')).status, 404, 'no account, no answer');
});

await test('the account that decides is the one that the upstream reads', async (t) => {
  const person = byHeaderPeople.stranger('localhost');
  await person.post('/login', { user: 'olga' }, { 'x-account': 'acme' });
  const cookie = person.jar.header();
  const head = `GET /app/ HTTP/1.1\r\nHost: localhost\r\nUser-Agent: zasov-test\r\nCookie: ${cookie}\r\n`;
  for (const headers of [
    'X-Account: acme\r\nX-Account: other\r\n',
    'X-Account: acme\r\nX_Account: other\r\n',
    'X_Account: other\r\nX-Account: acme\r\n',
    'X-Account: acme\r\nConnection: X-Account\r\n',
  ]) {
    const wire = await Wire.open(byHeader);
    const before = upstream.requests.length;
    wire.send(`${head}${headers}\r\n`);
    t.match(await wire.answer(), { status: 400 }, headers);
    t.equal(upstream.requests.length, before);
    wire.close();
  }
});
