/** Behind a load balancer that speaks the PROXY protocol: the client is who the listed balancer says, and nobody else. */
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import tap, { test } from 'tap';
import { startRecordingUpstream } from '../support/recording-upstream.ts';
import { type RunningGateway, startGateway } from '../support/start-gateway.ts';

const upstream = await startRecordingUpstream();
const policy = (proxies: string, workers: number) => `
workers: ${workers}
listen:
  public: { address: 127.0.0.1, port: 0, proxy_protocol: true }
  admin: { address: 127.0.0.1, port: 0 }
  ops: { address: 127.0.0.1, port: 0 }
trusted_proxies: [${proxies}]
tls:
  certificates:
    - { hosts: [localhost], self_signed: true }
regions:
  - { id: home, nodes: ["${upstream.origin}"] }
routes:
  - { name: open, match: { path: "/**" }, access: public }
sessions: {}
`;
const [listed, unlisted, workers] = await Promise.all([
  startGateway(policy('127.0.0.1, 10.0.0.0/8', 1)),
  startGateway(policy('192.0.2.1', 1)),
  startGateway(policy('127.0.0.1', 2)),
]);
tap.teardown(async () => {
  await Promise.all([listed, unlisted, workers].map((each) => each.program.stop()));
  await upstream.close();
});

const LINE = 'PROXY TCP4 198.51.100.7 10.0.0.1 54321 443\r\n';
const BINARY = Buffer.from('0d0a0d0a000d0a515549540a2121002420010db8000000000000000000000007', 'hex');
const SIX = Buffer.concat([BINARY, Buffer.alloc(16), Buffer.from('d43101bb', 'hex')]);

async function plain(gateway: RunningGateway): Promise<Socket> {
  const socket = connect(gateway.port, '127.0.0.1');
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

function secure(gateway: RunningGateway, socket: Socket, protocol: string): TLSSocket {
  const { ca } = gateway;
  return connectTls({ socket, ca, servername: 'localhost', ALPNProtocols: [protocol] });
}

/** Asks over HTTP/1.1 behind these first bytes. @returns the address that the upstream was told. */
async function clientOver1(gateway: RunningGateway, first: string | Buffer, more = ''): Promise<string[]> {
  const socket = await plain(gateway);
  socket.write(first);
  const tls = secure(gateway, socket, 'http/1.1');
  tls.write(`GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n${more}\r\n`);
  tls.resume();
  await once(tls, 'close');
  return upstream.requests.at(-1)?.values('x-forwarded-for') ?? [];
}

async function clientOver2(gateway: RunningGateway, first: string | Buffer): Promise<string[]> {
  const socket = await plain(gateway);
  socket.write(first);
  const session = connectHttp2('https://localhost', {
    createConnection: () => secure(gateway, socket, 'h2'),
  });
  const stream = session.request({ ':path': '/' });
  stream.resume();
  await once(stream, 'end');
  session.close();
  return upstream.requests.at(-1)?.values('x-forwarded-for') ?? [];
}

/** Whether a connection with these first bytes is ended without an answer. */
async function isRefused(gateway: RunningGateway, first: string | Buffer): Promise<boolean> {
  const socket = await plain(gateway).catch(() => undefined);
  if (socket === undefined) return true;
  let received = 0;
  socket.on('data', (chunk: Buffer) => (received += chunk.length));
  socket.write(first);
  for (let waits = 0; waits < 1000 && !socket.closed; waits += 1) await pause(20);
  return socket.closed && received === 0;
}

for (const [what, gateway] of [
  ['one process', listed],
  ['two workers', workers],
] as const)
  await test(`the client is who the listed proxy says, with ${what}, over both protocols`, async (t) => {
    for (let round = 0; round < 3; round += 1) {
      t.same(await clientOver1(gateway, LINE), ['198.51.100.7']);
      t.same(await clientOver2(gateway, LINE), ['198.51.100.7']);
      t.same(await clientOver1(gateway, SIX), ['2001:db8:0:0:0:0:0:7']);
      t.same(await clientOver2(gateway, SIX), ['2001:db8:0:0:0:0:0:7']);
    }
    t.same(
      await clientOver1(gateway, 'PROXY UNKNOWN\r\n'),
      ['127.0.0.1'],
      'a health check of the proxy itself',
    );
  });

await test('what the client says of itself behind it counts for nothing, unless it is a listed proxy, too', async (t) => {
  const claim = 'X-Forwarded-For: 192.0.2.9\r\nForwarded: for=192.0.2.9\r\n';
  t.same(await clientOver1(listed, LINE, claim), ['198.51.100.7']);
  const inner = 'PROXY TCP4 10.1.2.3 10.0.0.1 54321 443\r\n';
  t.same(await clientOver1(listed, inner, claim), ['192.0.2.9']);
});

await test('a header that comes byte by byte is read, and a second one is not', async (t) => {
  const socket = await plain(listed);
  for (const byte of LINE) {
    socket.write(byte);
    await pause(1);
  }
  const tls = secure(listed, socket, 'http/1.1');
  tls.write('GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
  tls.resume();
  await once(tls, 'close');
  t.same(upstream.requests.at(-1)?.values('x-forwarded-for'), ['198.51.100.7']);
  const before = upstream.requests.length;
  const second = await plain(listed);
  second.write(LINE + LINE);
  const failed = secure(listed, second, 'http/1.1');
  failed.on('error', () => undefined);
  await new Promise((resolve) => failed.once('close', resolve));
  t.equal(upstream.requests.length, before);
});

await test('a peer that is not listed, no header, a bad one and half a one are refused', async (t) => {
  t.ok(await isRefused(unlisted, LINE), 'not listed');
  t.ok(await isRefused(listed, Buffer.from('1603010200010001fc0303', 'hex')), 'a TLS hello');
  t.ok(await isRefused(listed, 'PROXY TCP4 198.51.100.7 10.0.0.1 54321\r\n'), 'a bad one');
  const startMs = performance.now();
  t.ok(await isRefused(listed, 'PROXY TCP4 198.51'), 'half a one');
  t.ok(performance.now() - startMs > 3000, 'after its time');
  t.same(await clientOver1(listed, LINE), ['198.51.100.7'], 'the others go on');
});
