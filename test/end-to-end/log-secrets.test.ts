/** Whatever passes through, and however it fails, nothing secret of it stands in the log or in the data directory. */
import { randomBytes } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import tap, { test } from 'tap';
import { KNOWN_COOKIE } from '../../gateway/pipeline/known-client.ts';
import { SESSION_COOKIE } from '../../gateway/session/session.ts';
import { CookieJar } from '../support/cookie-jar.ts';
import { Http2Client, HttpsClient } from '../support/https-client.ts';
import { targetOf } from '../support/open-policy.ts';
import { startRecordingUpstream } from '../support/recording-upstream.ts';
import { startGateway } from '../support/start-gateway.ts';
import { Wire } from '../support/wire.ts';

/** Every secret that the test sends, by what it is. */
const secrets = new Map<string, string>();
function secret(what: string): string {
  // Secrets of several shapes: random, and words that no pattern would recognise as random.
  const value = secrets.size % 2 === 0 ? randomBytes(12).toString('base64url') : wordLike();
  secrets.set(`${what} ${secrets.size}`, value);
  return value;
}

function wordLike(): string {
  const syllables = ['ka', 'ro', 'mi', 'te', 'su', 'lo', 'pe', 'na'];
  return Array.from(randomBytes(6), (byte) => syllables[byte % 8]).join('');
}

const upstream = await startRecordingUpstream((request, response, { socket }) => {
  const { pathname } = new URL(request.url, 'http://app');
  if (request.body.includes('wrong=1')) response.end(secret('answer to a wrong password'));
  else if (pathname === '/login') {
    response.setHeader('set-cookie', [
      `SID=${secret('vaulted cookie')}; Path=/`,
      `theme=${secret('cookie')}`,
    ]);
    response.setHeader('x-token', secret('header of an answer'));
    response
      .writeHead(303, { location: `/app?ticket=${secret('query of a location')}` })
      .end(secret('answer'));
  } else if (pathname === '/broken') {
    socket.end(`HTTP/1.1 200 OK\r\nX-A: \u0001${secret('broken answer')}\r\n\r\n`);
  } else if (pathname === '/odd') {
    response.setHeader('zasov-session', `begin; subject=${secret('statement that cannot be read')}`).end();
  } else response.end(secret('answer'));
});
const gateway = await startGateway(`
accounts: { single: main }
tls:
  certificates:
    - { hosts: [localhost], self_signed: true }
regions:
  - { id: home, nodes: ["${upstream.origin}"], health: { timeout: 30s } }
routes:
  - { name: open, match: { path: [/login, /broken, /odd] }, access: public }
  - { name: api, match: { path: "/api/**" }, access: api_key }
  - { name: few, match: { path: /few }, access: session, limit: few }
  - { name: app, match: { path: "/**" }, access: session }
sessions:
  rotate_every: 100ms
  grace: 0s
  vault: [SID]
  begin:
    - match: { method: POST, path: /login }
      subject: form.user
      success: { status: 303 }
  credential_change:
    - match: { method: POST, path: /password }
      when: { form: [new_password] }
      success: { status: 200 }
api_keys:
  in: ["header:X-Api-Key", "query:api_key"]
limits:
  login: { per: [client, subject], failures: 3/1h }
  few: { per: session, requests: 1000/1h, response_bytes: 60KiB/1h, parallel: 4 }
log: { level: trace }
`);
const clients: (HttpsClient | Http2Client)[] = [];
/** What the gateway itself answered, and what it shows of itself. */
const said: string[] = [];
tap.teardown(async () => {
  for (const client of clients) client.close();
  await gateway.program.stop();
  await upstream.close();
});

const secretHeaders = (): Record<string, string> => ({
  authorization: `Bearer ${secret('Authorization')}`,
  'proxy-authorization': `Basic ${secret('Proxy-Authorization')}`,
  'x-api-key': secret('X-Api-Key'),
  'x-csrf-token': secret('CSRF token'),
  'x-anything': secret('some header'),
  referer: `https://localhost/reset?token=${secret('Referer')}`,
});

await test('everything is sent that a CRM and its users hold secret', async (t) => {
  for (const Client of [HttpsClient, Http2Client]) {
    const client = new Client(targetOf(gateway));
    clients.push(client);
    client.jar.set('remember', secret('cookie of a browser'));
    client.jar.set('SID', secret('planted cookie'));
    const form = { user: 'olga', password: secret('password'), otp: secret('one-time code') };
    const login = await client.send('POST', '/login', { form, headers: secretHeaders() });
    t.equal(login.status, 303);
    secrets.set(`session id ${secrets.size}`, client.jar.get(SESSION_COOKIE) ?? '');
    const stale = CookieJar.copyOf(client.jar);
    for (const path of ['/app', '/broken', '/odd', '/api/v4/leads', '/a//b', '/none']) {
      const query = `?token=${secret('query')}&api_key=${secret('key in the query')}&${secret('bare query')}${secret('bare query')}`;
      await client.send('GET', `${path}${query}`, { headers: secretHeaders() });
      await client.send('POST', `${path}${query}`, { body: secret('body'), headers: secretHeaders() });
      secrets.set(`session id ${secrets.size}`, client.jar.get(SESSION_COOKIE) ?? '');
    }
    // Two rotations and more: one step back might be a browser that crashed.
    for (let round = 0; round < 6; round += 1) {
      await pause(60);
      await client.send('GET', '/app');
    }
    secrets.set(`session id ${secrets.size}`, client.jar.get(SESSION_COOKIE) ?? '');
    const thief = new HttpsClient(targetOf(gateway), stale);
    clients.push(thief);
    await thief.send('GET', '/app', { headers: secretHeaders() });
    const change = { new_password: secret('new password') };
    await client.send('POST', '/password', { form: change, headers: secretHeaders() });
  }
});

await test('so is everything that a guesser sends, and what the gateway itself answers is kept', async (t) => {
  const guesser = new HttpsClient(targetOf(gateway));
  clients.push(guesser);
  for (let guess = 0; guess < 5; guess += 1) {
    const form = { user: 'olga', password: secret('guessed password'), wrong: '1' };
    const answer = await guesser.send('POST', '/login', { form, headers: secretHeaders() });
    if (answer.status === 429) said.push(answer.text);
  }
  t.equal(said.length, 2, 'the door closed');
  const [owner] = clients;
  secrets.set('known client', owner?.jar.get(KNOWN_COOKIE) ?? '');
  for (const path of ['/few', '/none', '/api/x', '/a//b', '/broken']) {
    const answer = await guesser.send('GET', `${path}?token=${secret('query')}`, {
      headers: secretHeaders(),
    });
    if (answer.status >= 400) said.push(answer.text);
  }
  said.push(await (await fetch(`${gateway.listeners.ops}/metrics`)).text());
});

await test('so is what is no HTTP', async () => {
  const wire = await Wire.open(gateway);
  wire.send(
    `GET /${'x'.repeat(20_000)} HTTP/1.1\r\nHost: localhost\r\nCookie: a=${secret('huge head')}\r\n\r\n`,
  );
  await wire.closed();
  const garbage = await Wire.open(gateway);
  garbage.send(`\u0001${secret('garbage')}\r\nAuthorization: ${secret('garbage')}\r\n\r\n`);
  await garbage.closed();
});

await test('nothing of it stands in the log', async (t) => {
  t.equal(await gateway.program.stop(), 0);
  const { stdout, stderr } = gateway.program.output;
  const log = stdout + stderr;
  t.ok(log.split('\n').length > 40, 'there is a log to look at');
  t.match(log, /"msg":"session theft"/);
  t.match(log, /"code":"upstream_failed"/);
  t.ok(secrets.size > 100);
  for (const [what, value] of secrets)
    if (value.length < 8 || log.includes(value)) t.fail(`${what}: ${value}`);
  t.notMatch(log, /unhandled|Warning:/);
});

await test('nothing of it stands in an answer of the gateway or in its metrics', (t) => {
  t.ok(said.length > 5);
  for (const text of said)
    for (const [what, value] of secrets) if (text.includes(value)) t.fail(`${what} in ${text.slice(0, 200)}`);
  t.end();
});

await test('nothing of it stands in the data directory, with the audit trail and the counts of limits', (t) => {
  const files = readdirSync(gateway.data, { recursive: true, withFileTypes: true }).filter((each) =>
    each.isFile(),
  );
  for (const wanted of ['sessions.db', 'limits.db']) t.ok(files.some(({ name }) => name === wanted));
  const trail = files.filter(({ parentPath }) => parentPath.endsWith('audit'));
  const records = trail.map(({ name, parentPath }) => readFileSync(join(parentPath, name), 'utf8')).join('');
  t.match(records, '"sign_in.blocked"');
  t.match(records, '"session.theft"');
  for (const { name, parentPath } of files) {
    const content = readFileSync(join(parentPath, name), 'latin1');
    for (const [what, value] of secrets) if (content.includes(value)) t.fail(`${what} in ${name}`);
  }
  t.end();
});
