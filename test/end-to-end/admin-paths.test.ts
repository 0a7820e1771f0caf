/** On the public listener the routes of administrators do not exist, however their paths are written. */
import { connect as connectHttp2, type OutgoingHttpHeaders } from 'node:http2';
import tap, { test } from 'tap';
import { HttpsClient } from '../support/https-client.ts';
import { startRecordingUpstream } from '../support/recording-upstream.ts';
import { type RunningGateway, startGateway } from '../support/start-gateway.ts';
import { Wire } from '../support/wire.ts';
import { ADMIN_TARGETS, leadsToAdmin } from './admin-targets.ts';

const upstream = await startRecordingUpstream((asked, response) => {
  if (asked.method === 'POST' && asked.url === '/login') response.writeHead(302, { location: '/' });
  response.end('ok');
});

/** Everything but the administration is open, so that any way past its rule shows at the upstream. */
function policy(rest: string): string {
  return `
regions: [{ id: a, nodes: ["${upstream.origin}"], health: { timeout: 30s } }]
accounts: { single: main }
routes:
  - { name: panel, match: { path: ["/admin", "/admin/**"] }, access: admin, limit: few }
  - { name: login, match: { path: "/login" }, access: public }
  - { name: rest, match: { path: "/**" }, access: ${rest} }
limits: { few: { per: client, requests: 1/1m } }
sessions:
  begin: [{ match: { method: POST, path: /login }, subject: form.user, success: { status: [302] } }]
`;
}

const open = await startGateway(policy('public'));
const guarded = await startGateway(policy('session'));
tap.teardown(async () => {
  await open.program.stop();
  await guarded.program.stop();
  await upstream.close();
});

/** Headers that some upstreams believe more than the request line, each with `/login` in that line. */
const CLAIMS: Record<string, string>[] = [
  { 'X-Original-URL': '/admin' },
  { 'X-Rewrite-URL': '/admin' },
  { X_Original_URL: '/admin' },
  { 'X-Forwarded-Uri': '/admin' },
  { 'X-Forwarded-Path': '/admin' },
  { 'X-Forwarded-Prefix': '/admin' },
  { 'X-Forwarded-Host': 'localhost/admin' },
  { 'X-Original-Host': 'localhost/admin' },
  { 'X-HTTP-Method-Override': 'DELETE' },
  { 'X-HTTP-Method': 'DELETE' },
  { 'X-Method-Override': 'DELETE' },
  { 'X-Zasov-Auth': 'admin' },
  { 'X-Zasov-Subject': 'Anna', 'X-Zasov-Auth': 'admin' },
  { Connection: 'close, X-Zasov-Auth' },
];

/** Hosts that bring a path along. */
const HOSTS = [
  'localhost/admin',
  'localhost/../admin',
  'admin@localhost',
  'localhost#/admin',
  'localhost\\admin',
];

function reached(): string[] {
  return upstream.requests.filter(({ url }) => leadsToAdmin(url)).map(({ url }) => url);
}

/** What is the same in every answer to a path that does not exist: all but the id and the time. */
function shape(head: string, body: string): string {
  const lines = head.split('\r\n').filter((line) => !/^(?:x-request-id|date):/i.test(line));
  return `${lines.join('\n')}\n${body.replace(/\b[0-9a-f]{32}\b/, 'ID')}`;
}

async function rawAnswer(gateway: RunningGateway, line: string, headers: Record<string, string> = {}) {
  const wire = await Wire.open(gateway);
  const sent = Object.entries({ Host: 'localhost', Connection: 'close', ...headers });
  wire.send(`${line} HTTP/1.1\r\n${sent.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`);
  const answer = await wire.answer(line.startsWith('HEAD'));
  wire.close();
  return answer;
}

void test('the oracle of this test sees what it is to see', (t) => {
  for (const target of ADMIN_TARGETS.slice(0, 60).filter(
    (each) => !/^\/(?:%2e|%25)|\.\.;|login\/\/admin/.test(each),
  ))
    t.ok(leadsToAdmin(target), target);
  for (const target of ['/', '/login', '/administrator', '/static/admin', '/x?y=/admin', '/adm'])
    t.notOk(leadsToAdmin(target), target);
  t.end();
});

for (const [name, gateway] of [
  ['an open application', open],
  ['one with sessions', guarded],
] as const)
  await test(`no spelling of the path leads into the administration of ${name}, over HTTP/1.1`, async (t) => {
    upstream.requests.length = 0;
    for (const method of ['GET', 'POST'])
      for (const target of ADMIN_TARGETS) {
        const answer = await rawAnswer(
          gateway,
          `${method} ${target}`,
          method === 'POST' ? { 'Content-Length': '0' } : {},
        );
        // Whatever is let through is a path of its own in every reading.
        if (leadsToAdmin(target))
          t.ok([400, 404].includes(answer.status), `${method} ${target}: ${answer.status}`);
      }
    t.same(reached(), []);
  });

await test('nor over HTTP/2', async (t) => {
  upstream.requests.length = 0;
  const session = connectHttp2(`https://localhost:${open.port}`, { ca: open.ca, host: '127.0.0.1' });
  session.on('error', () => undefined);
  const ask = (headers: OutgoingHttpHeaders) =>
    new Promise<number | string>((resolve) => {
      try {
        const stream = session.request({ ':authority': 'localhost', ...headers });
        stream.on('response', (answer) => resolve(answer[':status'] ?? 0));
        stream.on('error', (error) => resolve(error.message));
        stream.on('close', () => resolve('closed'));
        stream.resume();
        stream.end();
      } catch (error) {
        resolve(String(error));
      }
    });
  for (const path of ADMIN_TARGETS) {
    const status = await ask({ ':path': path });
    if (leadsToAdmin(path)) t.notSame(status, 200, path);
  }
  const tricks: OutgoingHttpHeaders[] = [
    { ':path': '/login', ':authority': 'localhost/admin' },
    { ':path': '/login', ':scheme': 'https://localhost/admin?' },
    { ':path': '/login', ':method': 'GET /admin HTTP/1.1' },
    { ':path': '/admin', ':method': 'PROPFIND' },
    { ':path': '/admin', ':method': 'HEAD' },
    { ':path': '/admin', ':method': 'OPTIONS' },
    { ':path': '/admin', ':scheme': 'http' },
    { ':path': '/admin', ':authority': 'LOCALHOST' },
    { ':path': '/admin', ':authority': 'localhost:8444' },
    { ':path': '/admin', host: '127.0.0.1:8444' },
    { ':path': ' /admin' },
    { ':path': '/login /admin' },
    { ':method': 'CONNECT', ':path': undefined, ':scheme': undefined, ':authority': 'localhost:8444' },
  ];
  for (const headers of tricks) t.notSame(await ask(headers), 200, JSON.stringify(headers));
  for (const claims of CLAIMS.filter((each) => each.Connection === undefined))
    await ask({ ':path': '/login', ...claims });
  session.destroy();
  t.same(reached(), []);
  for (const { rawHeaders } of upstream.requests) t.notMatch(String(rawHeaders), /admin|anna|delete/i);
});

await test('no header says that another path, method or person is meant', async (t) => {
  upstream.requests.length = 0;
  for (const claims of CLAIMS) await rawAnswer(open, 'GET /login', claims);
  for (const host of HOSTS) t.equal((await rawAnswer(open, 'GET /login', { Host: host })).status, 400, host);
  t.equal(upstream.requests.length, CLAIMS.length);
  for (const { method, url, rawHeaders } of upstream.requests) {
    t.same([method, url], ['GET', '/login']);
    t.notMatch(String(rawHeaders), /admin|anna|delete/i);
  }
});

await test('neither an upgrade nor a tunnel leads there', async (t) => {
  upstream.requests.length = 0;
  const upgrade = {
    Connection: 'Upgrade',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': 'AAAAAAAAAAAAAAAAAAAAAA==',
  };
  for (const protocol of ['websocket', 'h2c', 'TLS/1.0']) {
    const answer = await rawAnswer(open, 'GET /admin', { ...upgrade, Upgrade: protocol });
    t.equal(answer.status, 404, protocol);
  }
  for (const target of ['localhost:8444', 'localhost/admin', '/admin'])
    t.match((await rawAnswer(open, `CONNECT ${target}`)).status, /400|405/, target);
  t.same(reached(), []);
});

await test('the answer is to the byte the one to a path that does not exist', async (t) => {
  const [elsewhere, ...tries] = [
    '/.zasov/nothing',
    '/admin',
    '/admin/users',
    '/Admin',
    '/%61dmin',
    '/admin;x',
  ];
  const session = new HttpsClient({ host: 'localhost', port: guarded.port, ca: guarded.ca });
  await session.post('/login', { user: 'anna' });
  const clients: [string, Record<string, string>][] = [
    ['a program', {}],
    ['a browser', { Accept: 'text/html', 'Accept-Language': 'ru' }],
    ['somebody signed in', { Cookie: session.jar.header(), 'User-Agent': 'zasov-test' }],
    ['somebody with a stale cookie', { Cookie: '__Host-Http-zasov=v1.x' }],
    ['somebody with a key', { 'X-Api-Key': 'zsv_x', Authorization: 'Bearer zsv_x' }],
  ];
  for (const [who, headers] of clients)
    for (const method of ['GET', 'HEAD', 'POST', 'PATCH', 'OPTIONS', 'PROPFIND']) {
      const ask = async (path: string) => {
        const { head, body, status } = await rawAnswer(guarded, `${method} ${path}`, headers);
        t.equal(status, 404, `${who}, ${method} ${path}`);
        return shape(head, body);
      };
      const wanted = await ask(elsewhere ?? '');
      for (const path of tries) t.equal(await ask(path), wanted, `${who}, ${method} ${path}`);
    }
  session.close();
});
