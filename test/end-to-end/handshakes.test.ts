/** WebSocket handshakes that fail, hang or break off: both sides learn of it, and nothing stays behind. */
import tap, { test } from 'tap';
import { freePort, openPolicy, regionOf } from '../support/open-policy.ts';
import { startRawUpstream } from '../support/recording-upstream.ts';
import { type RunningGateway, startGateway } from '../support/start-gateway.ts';
import { eventually, Wire } from '../support/wire.ts';

const CHUNKED =
  'HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\nSet-Cookie: APPSID=x\r\nZasov-Event: x\r\n\r\n';
const BYTES: Record<string, string> = {
  chunked: `${CHUNKED}5\r\nnever\r\n6\r\n here.\r\n0\r\n\r\n`,
  plain: 'HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\nKeep-Alive: timeout=9\r\n\r\nnot there',
  half: 'HTTP/1.1 403 Forbidden\r\nContent-Length: 50\r\n\r\nhalf',
  garbage: '\u0000\u0001 no http\r\n\r\n',
  open: 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSet-Cookie: APPSID=x\r\nX-Kept: 1\r\n\r\n',
};
const upstream = await startRawUpstream((socket, soFar) => {
  const name = /^GET \/(\w+) HTTP[\s\S]*\r\n\r\n$/.exec(soFar.toString('latin1'))?.[1] ?? '';
  if (name === 'healthz') socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok');
  else if (BYTES[name] !== undefined) socket.write(BYTES[name], 'latin1');
  if (name === 'half') setTimeout(() => socket.destroy(), 50);
});
const [gateway, lonely] = await Promise.all([
  startGateway(openPolicy(regionOf('home', upstream.origin))),
  startGateway(openPolicy(regionOf('home', `http://127.0.0.1:${await freePort()}`))),
]);
tap.teardown(async () => {
  await Promise.all([gateway.program.stop(), lonely.program.stop()]);
  await upstream.close();
});

async function handshake(path: string, of: RunningGateway = gateway): Promise<Wire> {
  const wire = await Wire.open(of);
  wire.send(
    `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
      'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
  );
  return wire;
}

async function nothingOpen(): Promise<void> {
  await eventually(
    async () => {
      const metrics = await (await fetch(`${gateway.listeners.ops}/metrics`)).text();
      return metrics.includes('zasov_streams_active{kind="websocket"} 0');
    },
    5000,
    () => 'the end of all streams',
  );
}

await test('a refusal of the upstream arrives whole, and the connection ends with it', async (t) => {
  const chunked = await handshake('/chunked');
  t.match(await chunked.answer(), { status: 403, body: 'never here.' });
  await chunked.closed();
  t.match(chunked.received, /^connection: close\r$/im);
  t.notMatch(chunked.received, /APPSID|zasov-event/i);
  const plain = await handshake('/plain');
  t.match(await plain.answer(), { status: 404, body: 'not there' });
  await plain.closed();
  t.notMatch(plain.received, /keep-alive/i);
});

await test('a refusal that breaks off is not left hanging', async (t) => {
  const wire = await handshake('/half');
  await wire.closed();
  t.match(wire.received, /^HTTP\/1\.1 403 [\s\S]*half$/);
});

await test('an upstream that answers garbage, nothing, or is not there: 502, 504, 503', async (t) => {
  const garbage = await handshake('/garbage');
  t.match(await garbage.answer(), { status: 502 });
  const beganMs = performance.now();
  const silent = await handshake('/silent');
  t.match(await silent.answer(), { status: 504 });
  t.ok(performance.now() - beganMs < 2500, 'after upstream_timeout');
  const away = await handshake('/any', lonely);
  t.match(await away.answer(), { status: 503, head: /retry-after: \d+/i });
  for (const wire of [garbage, silent, away]) await wire.closed();
  await eventually(() => upstream.openConnections('GET /silent') === 0);
});

await test('a client that goes before the answer takes the handshake along', async (t) => {
  const wire = await handshake('/waits');
  await eventually(() => upstream.openConnections('GET /waits') === 1);
  wire.close();
  await eventually(() => upstream.openConnections('GET /waits') === 0);
  await nothingOpen();
  t.pass();
});

await test('an open stream carries bytes both ways and ends on both sides', async (t) => {
  const wire = await handshake('/open');
  t.equal((await wire.answer()).status, 101);
  t.match(wire.received, /x-kept: 1/i);
  t.notMatch(wire.received, /APPSID/);
  wire.send('\u0081\u0085\u0001\u0002\u0003\u0004iknhn');
  await eventually(() => upstream.received.some((bytes) => bytes.includes('iknhn')));
  t.equal(upstream.openConnections('GET /open'), 1);
  wire.close();
  await eventually(() => upstream.openConnections('GET /open') === 0);
  await nothingOpen();
});

await test('a handshake behind a request that is still being answered ends the connection', async (t) => {
  const wire = await Wire.open(gateway);
  const before = upstream.received.length;
  wire.send(
    'GET /silent HTTP/1.1\r\nHost: localhost\r\n\r\nGET /open HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n' +
      'Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
  );
  await wire.closed();
  t.equal(wire.received, '');
  t.notOk(upstream.received.slice(before).some((bytes) => bytes.includes('GET /open')));
  t.notMatch(gateway.program.output.stderr, /unhandled|uncaught|Warning:|TypeError/i);
});
