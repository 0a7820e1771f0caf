/** HTTP/1.1 byte for byte: interim answers, old clients, pipelines, and connections that cannot go on. */
import { once } from 'node:events';
import { type IncomingMessage, request as httpRequest } from 'node:http';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import tap, { test } from 'tap';
import { openPolicy, regionOf } from '../support/open-policy.ts';
import { startRecordingUpstream } from '../support/recording-upstream.ts';
import { startGateway } from '../support/start-gateway.ts';
import { eventually, sendBytes, Wire } from '../support/wire.ts';

const BIG = 'abcdefghijklmnopqrstuvwxyz'.repeat(10_000);
const HOST = 'HTTP/1.1\r\nHost: localhost\r\n';

const upstream = await startRecordingUpstream((request, response) => {
  switch (request.url) {
    case '/chunked':
      response.write(BIG.slice(0, 1000));
      setTimeout(() => response.end(BIG.slice(1000)), 20);
      break;
    case '/hints':
      response.writeEarlyHints({
        link: ['</a.css>; rel=preload; as=style', '</b.js>; rel=preload; as=script'],
      });
      setTimeout(() => response.end('hinted'), 20);
      break;
    case '/echo':
      response.end(request.body);
      break;
    case '/empty':
      response.writeHead(204).end();
      break;
    case '/never':
      break;
    default:
      response.end(`got ${request.url}`);
  }
});
const gateway = await startGateway(openPolicy(regionOf('home', upstream.origin), 'header_timeout: 1s'));
tap.teardown(async () => {
  await gateway.program.stop();
  await upstream.close();
});

async function requestsOpen(): Promise<number> {
  const call = httpRequest({ socketPath: join(gateway.data, 'control.sock'), path: '/v1/status' }).end();
  const [answer] = (await once(call, 'response')) as [IncomingMessage];
  let text = '';
  for await (const chunk of answer.setEncoding('utf8')) text += chunk as string;
  return (JSON.parse(text) as { requests_open: number }).requests_open;
}

await test('early hints come before the answer', async (t) => {
  const wire = await Wire.open(gateway);
  wire.send(`GET /hints ${HOST}\r\n`);
  const hint = await wire.answer();
  t.equal(hint.status, 103);
  t.match(hint.head, /<\/a\.css>; rel=preload; as=style, <\/b\.js>/);
  t.match(await wire.answer(), { status: 200, body: 'hinted' });
  wire.close();
});

await test('the body of a request is asked for only when somebody wants it', async (t) => {
  const head = (path: string, length: number) =>
    `POST ${path} ${HOST}Content-Length: ${length}\r\nExpect: 100-continue\r\n\r\n`;
  const wire = await Wire.open(gateway);
  wire.send(head('/echo', 5));
  t.equal((await wire.answer()).status, 100);
  wire.send('hello');
  t.match(await wire.answer(), { status: 200, body: 'hello' });
  t.strictSame(upstream.requests.at(-1)?.values('expect'), [], 'the gateway has answered the expectation');
  wire.close();
  for (const [path, length, status] of [
    ['/denied', 5, 403],
    ['/private', 5, 401],
    ['/small', 20_000, 413],
    ['/a//b', 5, 400],
  ] as const) {
    const refused = await sendBytes(gateway, head(path, length));
    t.match(refused, new RegExp(`^HTTP/1\\.1 ${status} `), path);
    t.match(refused, /^connection: close$/im, 'what the client sends next could be the body or a request');
  }
});

await test('a client that waits for 100 behind another request gets it in its turn', async (t) => {
  const wire = await Wire.open(gateway);
  wire.send(`GET /chunked ${HOST}\r\nPOST /echo ${HOST}Content-Length: 5\r\nExpect: 100-continue\r\n\r\n`);
  t.match(await wire.answer(), { status: 200, body: BIG });
  t.equal((await wire.answer()).status, 100);
  wire.send('hello');
  t.match(await wire.answer(), { status: 200, body: 'hello' });
  wire.close();
});

await test('a client that still sends can read why its body is refused', async (t) => {
  const wire = await Wire.open(gateway);
  wire.send(`POST /small ${HOST}Transfer-Encoding: chunked\r\n\r\n`);
  const chunk = `1000\r\n${'x'.repeat(4096)}\r\n`;
  for (let count = 0; count < 200 && !wire.isClosed; count += 1) {
    wire.send(chunk);
    await pause(1);
  }
  wire.send('0\r\n\r\n');
  await wire.closed();
  t.match(wire.received, /^HTTP\/1\.1 413 /);
  t.match(wire.received, /"code":"body_too_large"/);
});

await test('chunked bodies arrive chunked, without their extensions and trailers', async (t) => {
  const wire = await Wire.open(gateway);
  wire.send(`POST /echo ${HOST}Transfer-Encoding: chunked\r\n\r\n`);
  wire.send('5\r\nhello\r\n6;ext=1\r\n world\r\n0\r\nX-Zasov-Subject: x\r\n\r\n');
  t.match(await wire.answer(), { status: 200, body: 'hello world' });
  const arrived = upstream.requests.at(-1);
  t.strictSame(arrived?.values('transfer-encoding'), ['chunked']);
  t.strictSame(arrived?.values('content-length'), []);
  wire.close();
});

await test('what concerns one connection only does not reach the upstream', async (t) => {
  await sendBytes(
    gateway,
    `GET /hop ${HOST}Connection: close, X-Mine, Cookie, Host\r\nX-Mine: 1\r\nX-Other: 2\r\n` +
      'Cookie: theme=dark\r\nKeep-Alive: timeout=9\r\nProxy-Authorization: Basic eHg6eHg=\r\nProxy-Connection: x\r\n' +
      'TE: trailers\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n',
  );
  const arrived = upstream.requests.at(-1);
  for (const name of [
    'x-mine',
    'keep-alive',
    'proxy-authorization',
    'proxy-connection',
    'te',
    'upgrade',
    'http2-settings',
  ])
    t.strictSame(arrived?.values(name), [], name);
  t.strictSame(arrived?.values('x-other'), ['2']);
  t.strictSame(arrived?.values('cookie'), ['theme=dark'], 'Connection strips nothing that the gateway adds');
  t.strictSame(arrived?.values('host'), ['localhost']);
});

await test('HTTP/1.0 clients get whole answers, no chunks and no interim answers', async (t) => {
  for (const [path, body] of [
    ['/chunked', BIG],
    ['/hints', 'hinted'],
  ] as const) {
    const text = await sendBytes(gateway, `GET ${path} HTTP/1.0\r\nHost: localhost\r\n\r\n`);
    const end = text.indexOf('\r\n\r\n');
    t.match(text, /^HTTP\/1\.1 200 /, path);
    t.notMatch(text.slice(0, end), /transfer-encoding/i);
    t.equal(text.slice(end + 4), body);
  }
  t.match(await sendBytes(gateway, 'GET /page HTTP/1.0\r\n\r\n'), /^HTTP\/1\.1 400 /, 'no host, no account');
});

await test('pipelined requests are answered in order, slow ones first if they came first', async (t) => {
  const wire = await Wire.open(gateway);
  const paths = ['/chunked', '/page', '/hints', '/n1', '/empty', '/n2'];
  wire.send(paths.map((path) => `GET ${path} ${HOST}\r\n`).join(''));
  const bodies: string[] = [];
  while (bodies.length < paths.length) {
    const { status, body } = await wire.answer();
    if (status >= 200) bodies.push(body);
  }
  t.strictSame(bodies, [BIG, 'got /page', 'hinted', 'got /n1', '', 'got /n2']);
  wire.close();
});

await test('a client that goes takes the requests along that were still to be answered', async (t) => {
  const wire = await Wire.open(gateway);
  const before = upstream.requests.length;
  wire.send(`GET /never ${HOST}\r\n`.repeat(5));
  await eventually(() => upstream.requests.length === before + 5);
  wire.close();
  const beganMs = performance.now();
  await eventually(async () => (await requestsOpen()) === 0);
  t.ok(performance.now() - beganMs < 900, 'sooner than by upstream_timeout');
});

await test('a flood of pipelined requests ends its connection and nobody else’s', async (t) => {
  const wire = await Wire.open(gateway);
  const before = upstream.requests.length;
  wire.send(`GET /never ${HOST}\r\n`.repeat(2000));
  await wire.closed();
  t.ok(upstream.requests.length - before <= 128, `${upstream.requests.length - before} requests arrived`);
  t.match(await sendBytes(gateway, `GET /first ${HOST}Connection: close\r\n\r\n`), /got \/first$/);
});

await test('garbage behind a request is not answered in the middle of its answer', async (t) => {
  const wire = await Wire.open(gateway);
  wire.send(`GET /chunked ${HOST}\r\n`);
  await wire.until('abc');
  wire.send('\0garbage\r\n\r\n');
  t.match(await wire.answer(), { status: 200, body: BIG });
  t.match(await wire.answer(), { status: 400, body: /bad_request/ });
  await wire.closed();
});

await test('a connection that says nothing, or half a head, is closed after header_timeout', async (t) => {
  for (const bytes of ['', `GET /slow ${HOST}X-Half: `]) {
    const wire = await Wire.open(gateway);
    wire.send(bytes);
    await wire.closed(6000);
    t.match(wire.received, /^(?:HTTP\/1\.1 408 .*"code":"request_timeout".*)?$/s);
  }
});

await test('a head that is too large is refused with 431', async (t) => {
  const answer = await sendBytes(gateway, `GET /x ${HOST}X-Large: ${'a'.repeat(20_000)}\r\n\r\n`);
  t.match(answer, /^HTTP\/1\.1 431 /);
  t.match(answer, /"code":"headers_too_large"/);
});

await test('refused connections do not wait for the client to close them', async (t) => {
  const upgrade =
    'Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n';
  for (const [bytes, status] of [
    [`GET /private ${HOST}${upgrade}\r\n`, 401],
    [`POST /ws ${HOST}${upgrade}\r\n`, 426],
    [`GET /ws ${HOST}${upgrade}Content-Length: 30\r\n\r\n${'x'.repeat(30)}`, 426],
    [`POST /ws ${HOST}${upgrade}Content-Length: 30\r\n\r\nhalf of`, 426],
    [`GET /ws ${HOST}${upgrade}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 426],
    [`CONNECT inside:22 ${HOST}\r\n`, 405],
    ['not http at all\r\n\r\n', 400],
  ] as const) {
    const wire = await Wire.open(gateway);
    wire.send(bytes);
    await wire.closed();
    t.match(wire.received, new RegExp(`^HTTP/1\\.1 ${status} `));
  }
  await eventually(async () => (await requestsOpen()) === 0);
});

await test('none of this was news to the process', (t) => {
  t.notMatch(gateway.program.output.stderr, /unhandled|uncaught|Warning:|TypeError/i);
  t.end();
});
