/** What an application really receives, and what becomes of one side when the other dies. Bytes, not mocks. */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { connect } from 'node:tls';
import { setTimeout as pause } from 'node:timers/promises';
import tap, { test } from 'tap';
import { SESSION_COOKIE } from '../../gateway/session/session.ts';
import { Http2Client, HttpsClient } from '../support/https-client.ts';
import { startRawUpstream, startRecordingUpstream } from '../support/recording-upstream.ts';
import { startGateway } from '../support/start-gateway.ts';

const policy = (origin: string): string => `
accounts: { single: main }
tls:
  certificates:
    - { hosts: [localhost], self_signed: true }
regions:
  - { id: home, nodes: ["${origin}"], health: { timeout: 30s }, role: primary }
routing:
  home: { default: home }
routes:
  - { name: closed, match: { path: "/closed/**" }, access: deny }
  - { name: everything, match: { path: "/**" }, access: public }
sessions:
  vault: [APPSID]
  strip: ["login_*"]
  login_page: /login
  begin:
    - match: { method: POST, path: /login }
      subject: form.login
      success: { status: 200 }
`;

const upstream = await startRecordingUpstream((_request, response) => {
  response.setHeader('set-cookie', ['APPSID=hidden; Path=/', 'theme=dark; Path=/']);
  response.end('ok');
});
/** Answers half of what it promises, then dies. */
const dying = await startRawUpstream((socket, soFar) => {
  if (!soFar.includes('\r\n\r\n')) return;
  if (soFar.includes('GET /healthz'))
    socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok');
  else if (soFar.includes('GET /half')) {
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf of it');
    setTimeout(() => socket.destroy(), 100);
  }
  // Anything else is never answered.
});
const gateway = await startGateway(policy(upstream.origin));
const second = await startGateway(policy(dying.origin));
const client = new HttpsClient({ host: 'localhost', port: gateway.port, ca: gateway.ca });
tap.teardown(async () => {
  client.close();
  await Promise.all([gateway.program.stop(), second.program.stop()]);
  await Promise.all([upstream.close(), dying.close()]);
});

/** Sends bytes over TLS. @returns everything that came back until the other side closed or two seconds passed. */
async function sendBytes(port: number, ca: string, bytes: string): Promise<string> {
  const socket = connect({
    host: '127.0.0.1',
    port,
    ca,
    servername: 'localhost',
    ALPNProtocols: ['http/1.1'],
  });
  await once(socket, 'secureConnect');
  socket.write(bytes, 'latin1');
  let received = '';
  socket.setEncoding('latin1').on('data', (text: string) => (received += text));
  await Promise.race([once(socket, 'close'), pause(2000)]);
  socket.destroy();
  return received;
}

await test('nobody but the gateway says who and where the client is', async (t) => {
  const forged = {
    'x-zasov-subject': 'boss',
    'x-zasov-account': 'other',
    'x-zasov-auth': 'admin',
    'x-zasov-assertion': 'forged',
    'x-forwarded-for': '6.6.6.6',
    'x-forwarded-host': 'evil.example',
    'x-forwarded-proto': 'http',
    'x-real-ip': '6.6.6.6',
    'client-ip': '6.6.6.6',
    'cf-connecting-ip': '6.6.6.6',
    forwarded: 'for=6.6.6.6',
    connection: 'keep-alive, x-forwarded-proto, x-request-id',
  };
  await client.get('/page', { headers: forged });
  const request = upstream.requests.at(-1);
  t.strictSame(request?.values('x-forwarded-for'), ['127.0.0.1']);
  t.strictSame(
    request?.values('x-forwarded-proto'),
    ['https'],
    'Connection cannot strip what the gateway adds',
  );
  t.strictSame(request?.values('x-forwarded-host'), [`localhost:${gateway.port}`]);
  t.equal(request?.values('x-request-id').length, 1);
  t.equal(request?.values('traceparent').length, 1);
  t.notMatch(request?.rawHeaders.join('\n') ?? '', /6\.6\.6\.6|boss|forged|evil\.example/);
});

for (const version of ['HTTP/1.1', 'HTTP/2'])
  await test(`vaulted, stripped and own cookies never reach the wrong side over ${version}`, async (t) => {
    const target = { host: 'localhost', port: gateway.port, ca: gateway.ca };
    const person = version === 'HTTP/2' ? new Http2Client(target) : new HttpsClient(target);
    person.jar.set('APPSID', 'planted');
    person.jar.set('login_as', 'boss');
    person.jar.set('language', 'ru');
    await person.send('GET', '/first');
    t.strictSame(upstream.requests.at(-1)?.values('cookie'), ['language=ru']);
    t.strictSame(person.jar.get('APPSID'), 'planted', 'the answer did not bring the vaulted cookie');
    t.equal(person.jar.get('theme'), 'dark', 'an ordinary cookie passes');
    t.ok(person.jar.get(SESSION_COOKIE));
    await person.send('GET', '/second');
    const sent = (upstream.requests.at(-1)?.values('cookie') ?? []).join('; ').split('; ').toSorted();
    t.strictSame(sent, ['APPSID=hidden', 'language=ru', 'theme=dark']);
    person.close();
  });

await test('ambiguous paths are refused and never forwarded', async (t) => {
  const before = upstream.requests.length;
  for (const path of [
    '/a/%2e%2e/closed/x',
    '/closed%2fx',
    '/a//closed/x',
    '/a/../closed/x',
    '/closed\\x',
    '/a%00',
    '/a%ff',
  ])
    t.match(
      await sendBytes(
        gateway.port,
        gateway.ca,
        `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`,
      ),
      /^HTTP\/1\.1 400 /,
      path,
    );
  t.equal(upstream.requests.length, before);
  t.equal((await client.get('/closed/x')).status, 403);
});

const smuggling: Record<string, string> = {
  'both lengths':
    'POST /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
  'two lengths': 'POST /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcde',
  'a folded header': 'GET /a HTTP/1.1\r\nHost: localhost\r\nX-A: b\r\n c\r\n\r\n',
  'two hosts': 'GET /a HTTP/1.1\r\nHost: localhost\r\nHost: other\r\n\r\n',
  'a space before the colon': 'POST /a HTTP/1.1\r\nHost: localhost\r\nContent-Length : 4\r\n\r\nabcd',
  'an obscure encoding':
    'POST /a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n',
};
for (const [what, bytes] of Object.entries(smuggling))
  await test(`a request with ${what} is refused and never forwarded`, async (t) => {
    const before = upstream.requests.length;
    t.match(await sendBytes(gateway.port, gateway.ca, bytes), /^HTTP\/1\.1 4\d\d /);
    t.equal(upstream.requests.length, before);
  });

await test('a DELETE with a chunked body arrives as one request with that body', async (t) => {
  const before = upstream.requests.length;
  const hidden = 'GET /closed/secret HTTP/1.1\r\nHost: localhost\r\n\r\n';
  const body = `${hidden.length.toString(16)}\r\n${hidden}\r\n0\r\n\r\n`;
  const head =
    'DELETE /thing HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n';
  t.match(await sendBytes(gateway.port, gateway.ca, head + body), /^HTTP\/1\.1 200 /);
  await client.get('/after');
  t.strictSame(
    upstream.requests.slice(before).map(({ method, url }) => `${method} ${url}`),
    ['DELETE /thing', 'GET /after'],
  );
  t.equal(upstream.requests[before]?.body.toString(), hidden);
});

await test('an upstream that dies in the middle of a body is an error to the client, never a clean end', async (t) => {
  const target = { host: 'localhost', port: second.port, ca: second.ca };
  const h1 = new HttpsClient(target);
  await t.rejects(h1.get('/half'));
  h1.close();
  const h2 = new Http2Client(target);
  await t.rejects(h2.send('GET', '/half'));
  h2.close();
});

await test('a client that goes away takes its upstream request along', async (t) => {
  const { hostname, port } = new URL(second.listeners.public);
  const socket: Socket = connect({
    host: hostname,
    port: Number(port),
    ca: second.ca,
    servername: 'localhost',
  });
  await once(socket, 'secureConnect');
  const before = dying.received.length;
  socket.write('GET /never HTTP/1.1\r\nHost: localhost\r\n\r\n');
  const arrived = (): boolean => dying.received.some((bytes) => bytes.includes('GET /never'));
  for (let round = 0; round < 40 && !arrived(); round += 1) await pause(50);
  t.ok(arrived(), `the request arrived (${before} connections before)`);
  t.equal(dying.openConnections('GET /never'), 1);
  socket.destroy();
  for (let round = 0; round < 40 && dying.openConnections('GET /never') > 0; round += 1) await pause(50);
  t.equal(dying.openConnections('GET /never'), 0);
});
