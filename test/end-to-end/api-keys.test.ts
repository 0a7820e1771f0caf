/** API keys on real sockets: who gets in, what the CRM sees, what nobody ever sees. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import tap, { test } from 'tap';
import { Agent, WebSocket } from 'undici';

import { type Answer, Http2Client, HttpsClient, type Sending } from '../support/https-client.ts';
import { startGateway } from '../support/start-gateway.ts';
import { acceptWebSocket } from '../support/websocket-echo.ts';

interface Seen {
  readonly url: string;
  readonly headers: NodeJS.Dict<string | string[]>;
}

const seen: Seen[] = [];
const crm = createServer((request, response) => {
  if (request.url === '/healthz') return void response.end('ok');
  seen.push({ url: request.url ?? '', headers: request.headers });
  if (request.url === '/api/endless') return void response.writeHead(200).write('first');
  if (request.url === '/api/password')
    response.setHeader('zasov-event', 'credentials-changed; subject="olga"');
  response.setHeader('set-cookie', 'APPSID=of-the-crm; Path=/');
  response.setHeader('sunset', 'of-the-crm');
  response.end('answer');
});
crm.on('upgrade', (request, socket) => acceptWebSocket(request, socket));
crm.listen(0, '127.0.0.1');
await once(crm, 'listening');
const gateway = await startGateway(policy('max_age: 6mo'));
const client = new HttpsClient({ host: 'acme.crm.localhost', port: gateway.port, ca: gateway.ca });
const other = new HttpsClient({ host: 'other.crm.localhost', port: gateway.port, ca: gateway.ca });
const modern = new Http2Client({ host: 'acme.crm.localhost', port: gateway.port, ca: gateway.ca });
tap.teardown(async () => {
  for (const each of [client, other, modern]) each.close();
  await gateway.program.stop();
  crm.closeAllConnections();
  crm.close();
});

function policy(more: string): string {
  return `
accounts: { host: "{account}.crm.localhost" }
tls: { certificates: [{ hosts: ["*.crm.localhost", localhost], self_signed: true }] }
regions: [{ id: home, nodes: ["http://127.0.0.1:${(crm.address() as AddressInfo).port}"], health: { timeout: 30s } }]
routes:
  - { name: api, match: { path: "/api/**" }, access: api_key, limit: plenty }
  - { name: both, match: { path: "/both/**" }, access: session_or_key, limit: plenty }
  - { name: open, match: { path: "/**" }, access: public }
sessions: { vault: [APPSID] }
limits: { plenty: { per: api_key, requests: 100000/1s } }
api_keys:
  in: ["header:X-Api-Key", bearer, basic, "query:key"]
  upstream: { header: X-Crm-Key }
  ${more}
`;
}

interface Issued {
  readonly id: string;
  readonly key: string;
}

function issue(...flags: string[]): Issued {
  const words = ['keys', 'issue', '--account', 'acme', '--subject', 'olga', ...flags, '--json'];
  const { code, stdout, stderr } = gateway.command(...words);
  if (code !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as Issued;
}

function codeOf(answer: Answer): unknown {
  return (JSON.parse(answer.text) as { code: string }).code;
}

const inHeader = (key: string): Sending => ({ headers: { 'x-api-key': key } });

await test('a key opens its routes from every place that the policy names, over both protocols', async (t) => {
  const { key } = issue();
  const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`;
  const places: [string, Record<string, string>][] = [
    ['/api/x', { 'x-api-key': key }],
    ['/api/x', { authorization: `Bearer ${key}` }],
    ['/api/x', { authorization: basic(`any:${key}`) }],
    ['/api/x', { authorization: basic(`${key}:`) }],
    [`/api/x?a=1&key=${key}`, {}],
    [`/both/x?%6bey=${key}`, {}],
  ];
  for (const [path, headers] of places)
    for (const each of [client, modern]) {
      const answer = await each.send('GET', path, {
        headers: { ...headers, x_crm_key: 'planted', 'x-crm-key': 'planted' },
      });
      t.equal(answer.status, 200, String(path.split('?')[0]));
      const last = seen.at(-1);
      t.notOk(JSON.stringify(last).includes(key), 'the key never reaches the upstream');
      t.notOk(JSON.stringify(last).includes('planted'));
      t.match(last?.headers, {
        'x-zasov-auth': 'api-key',
        'x-zasov-subject': 'olga',
        'x-zasov-account': 'acme',
      });
      const [, claims = ''] = String(last?.headers['x-zasov-assertion']).split('.');
      t.match(JSON.parse(Buffer.from(claims, 'base64url').toString()), { auth: 'api-key', sub: 'olga' });
      t.strictSame(answer.setCookies, [], 'no session begins');
      t.equal(answer.header('referrer-policy'), path.includes('?') ? 'no-referrer' : 'same-origin');
    }
});

await test('every refusal says precisely what is wrong, and nothing reaches the upstream', async (t) => {
  const good = issue();
  const revoked = issue();
  t.equal(gateway.command('keys', 'revoke', revoked.id).code, 0);
  const rotated = issue();
  const successor = JSON.parse(gateway.command('keys', 'rotate', rotated.id, '--json').stdout) as Issued;
  const wrong = `${good.key.slice(0, -1)}${good.key.endsWith('0') ? '1' : '0'}`;
  const narrow = issue('--routes', 'both', '--methods', 'GET');
  const reading = issue('--read-only');
  const far = issue('--networks', '192.0.2.0/24');
  const before = seen.length;
  const cases: [string, string, Sending, string, number][] = [
    ['GET', '/api/x', {}, 'key_missing', 401],
    ['GET', '/api/x', { headers: { authorization: 'Digest x' } }, 'key_missing', 401],
    ['GET', '/api/x', inHeader(wrong), 'key_malformed', 401],
    ['GET', '/api/x', inHeader('hello'), 'key_malformed', 401],
    ['GET', '/api/x', inHeader(revoked.key), 'key_revoked', 401],
    ['GET', '/both/x', inHeader(rotated.key), 'key_rotated', 401],
    ['GET', '/api/x', inHeader(narrow.key), 'key_scope', 403],
    ['POST', '/both/x', inHeader(narrow.key), 'key_scope', 403],
    ['DELETE', '/api/x', inHeader(reading.key), 'key_scope', 403],
    ['GET', '/api/x', inHeader(far.key), 'key_network', 403],
    ['GET', `/api/x?key=${revoked.key}`, inHeader(good.key), 'bad_request', 400],
    ['POST', '/.zasov/keys/rotate', {}, 'key_missing', 401],
    ['POST', '/.zasov/keys/rotate', inHeader(good.key), 'key_not_due', 409],
    ['GET', '/.zasov/keys/rotate', inHeader(good.key), 'method_refused', 405],
  ];
  for (const [method, path, sending, code, status] of cases)
    for (const each of [client, modern]) {
      const answer = await each.send(method, path, sending);
      t.strictSame(
        [codeOf(answer), answer.status],
        [code, status],
        `${method} ${path.split('?')[0]} ${code}`,
      );
      if (status === 401) t.match(answer.header('www-authenticate'), /^Bearer realm="acme"/);
    }
  const foreign = await other.get('/api/x', inHeader(good.key));
  t.strictSame([foreign.status, codeOf(foreign)], [403, 'account_mismatch'], 'a key opens no other account');
  t.equal(seen.length, before);
  t.equal((await client.get('/api/x', inHeader(successor.key))).status, 200);
  t.equal(
    (await client.send('HEAD', '/both/x', inHeader(narrow.key))).status,
    200,
    'HEAD goes where GET may',
  );
  const metrics = await (await fetch(`${gateway.listeners.ops}/metrics`)).text();
  for (const code of ['key_missing', 'key_malformed', 'key_revoked', 'key_scope'])
    t.match(metrics, new RegExp(`zasov_api_key_rejected_total\\{code="${code}"\\} [1-9]`));
});

await test('elsewhere a header is the CRM’s own affair, and a key of ours is kept from it', async (t) => {
  const { key } = issue();
  await client.get('/page?key=of-the-crm', {
    headers: { authorization: 'Bearer of-the-crm', 'x-api-key': 'of-the-crm' },
  });
  t.match(seen.at(-1), {
    url: '/page?key=of-the-crm',
    headers: { authorization: 'Bearer of-the-crm', 'x-api-key': 'of-the-crm' },
  });
  const referer = `https://acme.crm.localhost/api/x?key=${key}&b=2`;
  await client.get(`/page?key=${key}&a=1`, {
    headers: { authorization: `Bearer ${key}`, 'x-api-key': key, referer },
  });
  t.match(seen.at(-1), { url: '/page?a=1', headers: { referer: 'https://acme.crm.localhost/api/x?b=2' } });
  t.notOk(JSON.stringify(seen.at(-1)).includes(key));
  await client.get('/denied-to-nobody', { headers: { 'x-crm-key': 'planted' } });
  t.equal(seen.at(-1)?.headers['x-crm-key'], undefined);
});

await test('the CRM’s own credential takes the place of the key', async (t) => {
  const { key } = issue();
  const set = JSON.stringify({ credential: 'crm-secret-1' });
  const answer = await control('PUT', '/v1/subjects/acme/olga/upstream-credential', set);
  t.equal(answer.status, 200);
  await client.get('/api/x', inHeader(key));
  t.equal(seen.at(-1)?.headers['x-crm-key'], 'crm-secret-1');
  const split = JSON.stringify({ credential: 'a\r\nx-evil: 1' });
  t.equal((await control('PUT', '/v1/subjects/acme/olga/upstream-credential', split)).status, 400);
  t.equal((await control('POST', '/v1/keys', `{"account":"${'x'.repeat(1024 * 1024)}`)).status, 413);
  t.equal((await control('POST', '/v1/keys', '{"account":')).status, 400);
});

async function control(method: string, path: string, body: string): Promise<{ status: number }> {
  const agent = new Agent({ connect: { socketPath: `${gateway.data}/control.sock` } });
  const answer = await agent.request({ origin: 'http://localhost', method, path, body });
  await answer.body.dump();
  await agent.close();
  return { status: answer.statusCode };
}

await test('streams end when their key does', async (t) => {
  const { id, key } = issue();
  const open = (allowH2: boolean) => {
    const agent = new Agent({
      allowH2,
      connect: {
        ca: gateway.ca,
        lookup: (_host, _options, found) => found(null, [{ address: '127.0.0.1', family: 4 }]),
      },
    });
    t.teardown(() => agent.destroy());
    return agent;
  };
  const dispatcher = open(false);
  const authority = `acme.crm.localhost:${gateway.port}`;
  const socket = new WebSocket(`wss://${authority}/api/live?key=${key}`, { dispatcher });
  const closed = new Promise<number>((resolve) =>
    socket.addEventListener('close', ({ code }) => resolve(code)),
  );
  await new Promise((resolve, reject) => {
    socket.addEventListener('open', resolve, { once: true });
    socket.addEventListener('close', ({ code }) => reject(new Error(`the handshake failed: ${code}`)));
  });
  const startEndless = async (agent: Agent): Promise<{ end: Promise<string> }> => {
    const { body } = await agent.request({
      origin: `https://${authority}`,
      path: '/api/endless',
      method: 'GET',
      headers: { 'x-api-key': key },
    });
    const end = body.text().then(
      () => 'a clean end',
      () => 'broken off',
    );
    return { end };
  };
  const answers = [await startEndless(dispatcher), await startEndless(open(true))];
  t.equal(gateway.command('keys', 'revoke', id).code, 0);
  t.equal(await closed, 4401);
  for (const { end } of answers)
    t.equal(await end, 'broken off', 'nobody takes half an answer for a whole one');
});

await test('a credential change rotates every key of the person before its answer', async (t) => {
  const first = issue();
  const second = issue();
  const answer = await client.send('POST', '/api/password', inHeader(first.key));
  t.equal(answer.status, 200, 'whoever changes the password hears that it was changed');
  for (const { key } of [first, second])
    t.equal(codeOf(await client.get('/api/x', inHeader(key))), 'key_rotated');
  const rows = JSON.parse(gateway.command('keys', 'list', '--subject', 'olga', '--json').stdout) as {
    waiting: boolean;
  }[];
  t.ok(rows.filter(({ waiting }) => waiting).length >= 2, 'the successors wait for their owner');
});

await test('a key inside its warning period says so and gets its successor', async (t) => {
  const young = await startGateway(policy('max_age: 1h\n  warn_before: [1h]'));
  t.teardown(() => young.program.stop());
  const person = new HttpsClient({ host: 'acme.crm.localhost', port: young.port, ca: young.ca });
  t.teardown(() => person.close());
  const issued = young.command('keys', 'issue', '--account', 'acme', '--subject', 'olga', '--json');
  const { id, key } = JSON.parse(issued.stdout) as Issued;
  const answer = await person.get('/api/x', inHeader(key));
  t.match(answer.header('sunset'), /GMT$/, 'the CRM’s own does not pass beside it');
  t.match(answer.header('zasov-key-expires'), /^20/);
  const renewed = await person.send('POST', '/.zasov/keys/rotate', inHeader(key));
  t.equal(renewed.status, 200);
  t.equal(renewed.header('cache-control'), 'no-store');
  const next = JSON.parse(renewed.text) as Issued;
  t.not(next.id, id);
  t.equal(codeOf(await person.get('/api/x', inHeader(key))), 'key_rotated');
  t.equal((await person.get('/api/x', inHeader(next.key))).status, 200);
});

await test('no key stands in the log', async (t) => {
  const { key } = issue();
  await client.get(`/api/x?key=${key}`);
  await client.get(`/api/x?key=${key}x`);
  await client.get('/api/last');
  await gateway.program.stop();
  t.notOk(/zsv_\w{14}_/.test(gateway.program.output.stderr), 'not one in all of the log');
  t.match(gateway.program.output.stderr, /\/api\/last/, 'which was written');
});
