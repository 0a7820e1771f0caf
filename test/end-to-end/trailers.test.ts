/** Trailers of an answer (RFC 9110 section 6.5) and 103 (RFC 8297): they pass where the client takes them. */
import { connect } from 'node:http2';
import tap, { test } from 'tap';
import { openPolicy, regionOf } from '../support/open-policy.ts';
import { startRawUpstream } from '../support/recording-upstream.ts';
import { startGateway } from '../support/start-gateway.ts';
import { Wire } from '../support/wire.ts';

const FORBIDDEN = [
  'Set-Cookie: APPSID=late',
  'Content-Type: text/html',
  'Location: https://evil.example/',
  'Cache-Control: public',
  'Zasov-Session: begin; subject="boss"',
  'X-Zasov-Subject: boss',
  'Access-Control-Allow-Origin: *',
  'Host: evil.example',
];
const TRAILERS = ['X-Checksum: abc', 'Server-Timing: db;dur=53', 'Grpc-Status: 0', ...FORBIDDEN];
const BYTES: Record<string, string> = {
  trailers: `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Checksum\r\n\r\n5\r\nhello\r\n0\r\n${TRAILERS.join('\r\n')}\r\n\r\n`,
  none: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
  alone: 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Checksum: abc\r\n\r\n',
  length: 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello',
  hints: `${'HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload; as=style\r\nX-Secret: 1\r\n\r\n'.repeat(2)}HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello`,
  empty: 'HTTP/1.1 204 No Content\r\n\r\n',
};
const upstream = await startRawUpstream((socket, soFar) => {
  const name =
    /^\S+ \/(\S+) HTTP[\s\S]*\r\n\r\n$/.exec(
      soFar.toString('latin1').split('\r\n\r\n').at(-2)?.concat('\r\n\r\n') ?? '',
    )?.[1] ?? '';
  socket.write(BYTES[name] ?? 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
});
const gateway = await startGateway(openPolicy(regionOf('home', upstream.origin)));
tap.teardown(async () => {
  await gateway.program.stop();
  await upstream.close();
});

interface H2Answer {
  readonly status: number;
  readonly interim: string[];
  readonly body: string;
  readonly trailers: Record<string, unknown>;
}

async function ask(path: string, headers: Record<string, string>): Promise<H2Answer> {
  const session = connect(`https://localhost:${gateway.port}`, { ca: gateway.ca, host: '127.0.0.1' });
  const stream = session.request({ ':path': path, ...headers });
  let status = 0;
  let body = '';
  let trailers: Record<string, unknown> = {};
  const interim: string[] = [];
  stream.on('headers', (head) => interim.push(`${head[':status']} ${JSON.stringify(head)}`));
  stream.on('response', (head) => (status = head[':status'] ?? 0));
  stream.on('trailers', (fields) => (trailers = Object.fromEntries(Object.entries(fields))));
  stream.setEncoding('utf8').on('data', (text: string) => (body += text));
  await new Promise((resolve, reject) => stream.once('close', resolve).once('error', reject));
  session.close();
  return { status, interim, body, trailers };
}

const GOOD = { 'x-checksum': 'abc', 'server-timing': 'db;dur=53', 'grpc-status': '0' };

await test('trailers pass over HTTP/2 to a client that takes them, and only those that may stand there', async (t) => {
  t.match(await ask('/trailers', { te: 'trailers' }), { status: 200, body: 'hello' });
  t.strictSame({ ...(await ask('/trailers', { te: 'trailers' })).trailers }, GOOD);
  t.match((await ask('/alone', { te: 'trailers' })).trailers, { 'x-checksum': 'abc' });
});

await test('who does not say that it takes trailers gets none over HTTP/2', async (t) => {
  t.match(await ask('/trailers', {}), { status: 200, body: 'hello', trailers: {} });
  t.strictSame((await ask('/trailers', {})).trailers, {});
});

await test('who takes trailers gets answers without any to their end over HTTP/2', async (t) => {
  for (const name of ['none', 'length'])
    t.match(await ask(`/${name}`, { te: 'trailers' }), { status: 200, body: 'hello', trailers: {} });
  t.match(await ask('/empty', { te: 'trailers' }), { status: 204, body: '' });
});

await test('trailers pass over HTTP/1.1 to a client that takes them, and only those that may stand there', async (t) => {
  const wire = await Wire.open(gateway);
  wire.send('GET /trailers HTTP/1.1\r\nHost: localhost\r\nTE: gzip, trailers\r\nConnection: TE\r\n\r\n');
  await wire.until(/\r\n0\r\n[^]*\r\n\r\n$/);
  const [, tail = ''] = wire.received.split('\r\nhello\r\n0\r\n');
  t.strictSame(
    tail
      .toLowerCase()
      .split('\r\n')
      .filter((line) => line !== ''),
    Object.entries(GOOD).map(([name, value]) => `${name}: ${value}`),
  );
  wire.close();
  const other = await Wire.open(gateway);
  other.send('GET /trailers HTTP/1.1\r\nHost: localhost\r\n\r\n');
  t.match(await other.answer(), { status: 200, body: 'hello' });
  t.notMatch(other.received, /checksum/i);
  other.send('GET /length HTTP/1.1\r\nHost: localhost\r\nTE: trailers\r\nConnection: TE\r\n\r\n');
  t.match(await other.answer(), { status: 200, body: 'hello' });
  other.close();
});

await test('the upstream hears nothing of it: it is asked for trailers by nobody', (t) => {
  t.notMatch(upstream.received.join('\n').toLowerCase(), /\nte:|trailers:/);
  t.end();
});

await test('103 passes with its links and nothing else, as often as it comes', async (t) => {
  const { interim, status, body } = await ask('/hints', {});
  t.match([status, body, interim.length], [200, 'hello', 2]);
  for (const each of interim) t.match(each, /^103 .*<\/a\.css>; rel=preload; as=style/);
  t.notMatch(interim.join('\n'), /secret/i);
});

await test('none of this was news to the process', (t) => {
  t.notMatch(gateway.program.output.stderr, /unhandled|uncaught|Warning:|TypeError/i);
  t.end();
});
