/** Clients that are slow, or many, or both: each is cut in its time, and somebody good notices nothing. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import tap, { type Test, test } from 'tap';
import { BEAT_MS } from '../../gateway/server/worker-relay.ts';
import { GoodClient } from '../support/good-client.ts';
import { openPolicy, regionOf } from '../support/open-policy.ts';
import { startRecordingUpstream } from '../support/recording-upstream.ts';
import { type RunningGateway, startGateway } from '../support/start-gateway.ts';
import { eventually, Wire } from '../support/wire.ts';

/** What a good client may wait beyond what it waits when nothing happens, in the hundredth that waits longest. */
const P99_MS = 100;
const ROUNDS = 3;
const PAUSE_MS = 60;
const BIG = Buffer.alloc(20_000_000, 'x');
const HOST = 'HTTP/1.1\r\nHost: localhost\r\n';

let open = 0;
const upstream = await startRecordingUpstream((request, response, { socket }) => {
  if (request.url === '/big') {
    open += 1;
    socket.once('close', () => (open -= 1));
    response.end(BIG);
  } else response.end(`got ${request.body.length}`);
});
const region = regionOf('home', upstream.origin);
const [gateway, bounded, node] = await Promise.all([
  startGateway(openPolicy(region, 'header_timeout: 1s, body_idle_timeout: 1s, connections_per_client: 600')),
  startGateway(
    openPolicy(region, 'connections_per_client: 8').replace('upstream_timeout: 1s', 'upstream_timeout: 30s'),
  ),
  startGateway(`workers: 2\n${openPolicy(region, 'connections_per_client: 8')}`),
]);
const good = await GoodClient.start(gateway);
tap.teardown(async () => {
  await good.stop();
  await Promise.all([gateway, bounded, node].map(({ program }) => program.stop()));
  await upstream.close();
});

/** Has something happen while somebody good asks; a wait counts only if it comes every time. */
async function quietly(t: Test, something: () => Promise<unknown>): Promise<void> {
  let overMs = Infinity;
  for (let round = 0; round < ROUNDS && overMs >= P99_MS; round += 1) {
    const quiet = await good.during(() => pause(300));
    const waits = await good.during(something);
    t.strictSame(waits.failures, []);
    overMs = waits.p99Ms - 2 * quiet.longestMs;
    t.comment(
      `p99 ${Math.round(waits.p99Ms)} ms of ${waits.count}, ${Math.round(quiet.longestMs)} ms before`,
    );
  }
  t.ok(overMs < P99_MS, `the good client waited ${Math.round(overMs)} ms`);
}

/** Opens many connections, a few at a time, each from an address of its own if there are to be so many clients. */
async function openMany(count: number, clients = 8, of: RunningGateway = gateway): Promise<Wire[]> {
  const wires: Wire[] = [];
  while (wires.length < count) {
    const batch = Array.from({ length: Math.min(10, count - wires.length) }, (_, index) =>
      Wire.open(of, 'http/1.1', `127.0.1.${1 + ((wires.length + index) % clients)}`),
    );
    wires.push(...(await Promise.all(batch)));
  }
  return wires;
}

async function openFrom(address: string, of: RunningGateway): Promise<Wire | undefined> {
  return await Wire.open(of, 'http/1.1', address).catch(() => undefined);
}

await test('one client holds so many connections and no more, others are not concerned', async (t) => {
  const wires: (Wire | undefined)[] = [];
  for (let count = 0; count < 14; count += 1) wires.push(await openFrom('127.0.0.2', bounded));
  const held = wires.flatMap((wire) => wire ?? []);
  t.equal(held.length, 8);
  t.ok(await openFrom('127.0.0.3', bounded), 'another client');
  const metrics = await (await fetch(`${bounded.listeners.ops}/metrics`)).text();
  t.match(metrics, /zasov_connections_refused_total\{reason="client"\} 6/);
  for (const wire of held) wire.close();
  await eventually(async () => (await openFrom('127.0.0.2', bounded)) !== undefined, 10_000);
});

await test('who opens connections as fast as it can is slowed down before any handshake', async (t) => {
  let opened = 0;
  for (let count = 0; count < 60; count += 1) {
    const wire = await openFrom('127.0.0.4', bounded);
    if (wire !== undefined) opened += 1;
    wire?.close();
  }
  t.ok(opened >= 8 && opened <= 20, `${opened} of 60`);
  const metrics = await (await fetch(`${bounded.listeners.ops}/metrics`)).text();
  t.match(metrics, /zasov_connections_refused_total\{reason="pace"\} \d\d/);
});

await test('all workers of a node together keep to the bound, but for one beat', async (t) => {
  const held: Wire[] = [];
  for (let count = 0; count < 30; count += 1) {
    const wire = await openFrom('127.0.0.5', node);
    if (wire !== undefined) held.push(wire);
    await pause(PAUSE_MS);
  }
  // The bound, and what comes in the time until the workers have told each other: a beat, and half of one to go round.
  const most = 8 + Math.ceil((1.5 * BEAT_MS) / PAUSE_MS);
  t.ok(held.length >= 8 && held.length <= most, `${held.length} connections, ${most} at most`);
  for (const wire of held) wire.close();
});

await test('connections that never begin a handshake are cut after header_timeout', async (t) => {
  await quietly(t, async () => {
    const sockets: Socket[] = Array.from({ length: 200 }, (_, index) =>
      connect({ host: '127.0.0.1', port: gateway.port, localAddress: `127.0.2.${index + 1}` }).on(
        'error',
        () => undefined,
      ),
    );
    await Promise.all(sockets.map((socket) => once(socket, 'connect')));
    const beganMs = performance.now();
    for (const socket of sockets) socket.resume();
    await eventually(() => sockets.every(({ destroyed }) => destroyed), 10_000);
    t.ok(performance.now() - beganMs < 8000);
  });
});

await test('heads that come a byte at a time are cut after header_timeout', async (t) => {
  await quietly(t, async () => {
    const wires = await openMany(60);
    for (const wire of wires) wire.send(`GET /slow ${HOST}X-Drip: `);
    const drip = setInterval(() => wires.forEach((wire) => wire.send('x')), 100);
    await Promise.all(wires.map((wire) => wire.closed(10_000)));
    clearInterval(drip);
  });
  t.notOk(upstream.requests.some(({ url }) => url === '/slow'));
});

await test('bodies that come a byte at a time are cut after body_idle_timeout, those that move are not', async (t) => {
  await quietly(t, async () => {
    const wires = await openMany(40);
    for (const wire of wires) wire.send(`POST /drip ${HOST}Content-Length: 100000\r\n\r\n`);
    const moving = await Wire.open(gateway);
    moving.send(`POST /moving ${HOST}Content-Length: 3000\r\n\r\n`);
    let sent = 0;
    const drip = setInterval(() => {
      for (const wire of wires) wire.send('x');
      if (sent++ < 30) moving.send('x'.repeat(100));
    }, 100);
    await Promise.all(wires.map((wire) => wire.closed(15_000)));
    for (const wire of wires) t.match(wire.received, /^HTTP\/1\.1 408 [^]*"code":"request_timeout"/);
    t.match(await moving.answer(), { status: 200, body: 'got 3000' });
    clearInterval(drip);
    moving.close();
  });
});

await test('clients that never read are cut after twice body_idle_timeout', async (t) => {
  await quietly(t, async () => {
    const wires = await openMany(30);
    for (const wire of wires) {
      wire.socket.pause();
      wire.send(`GET /big ${HOST}\r\n`);
    }
    await eventually(
      () => open > 20,
      10_000,
      () => 'requests at the upstream',
    );
    await eventually(
      () => open === 0,
      20_000,
      () => 'the end of all of them',
    );
    for (const wire of wires) wire.close();
  });
});

await test('three hundred clients that hold their bodies back leave the upstream to others', async (t) => {
  const patient = await GoodClient.start(bounded);
  const wires = await openMany(300, 60, bounded);
  const waits = await patient.during(async () => {
    for (const wire of wires) wire.send(`POST /held ${HOST}Content-Length: 100000\r\n\r\nx`);
    await eventually(() => wires.filter(({ received }) => received.includes('408')).length >= 160, 15_000);
    await pause(300);
  });
  t.strictSame(waits.failures, []);
  t.ok(waits.longestMs < 1500, `longest ${Math.round(waits.longestMs)} ms of ${waits.count}`);
  for (const wire of wires) wire.close();
  await patient.stop();
});

await test('a client that closes its half gets its answer, or nothing, and leaves nothing behind', async (t) => {
  for (const wire of await openMany(20)) {
    wire.send(`GET /half ${HOST}\r\n`);
    wire.socket.end();
    await wire.closed();
    t.match(wire.received, /^(?:HTTP\/1\.1 200 [^]*)?$/);
  }
  // The good client may just be asking.
  await eventually(() => /"requests_open":\s*[01]\b/.test(gateway.command('status', '--json').stdout));
});

await test('five hundred idle connections cost nobody time, and each little memory', async (t) => {
  const beforeKb = residentKb();
  const wires: Wire[] = [];
  await quietly(t, async () => {
    wires.push(...(await openMany(500 - wires.length)));
    for (const wire of wires) wire.send(`GET /idle ${HOST}\r\n`);
    for (const wire of wires) await wire.answer();
  });
  const eachKb = (residentKb() - beforeKb) / wires.length;
  t.comment(`${Math.round(eachKb)} KiB for each connection`);
  t.ok(eachKb < 150);
  for (const wire of wires) wire.close();
});

await test('none of this was news to the process', (t) => {
  for (const { program } of [gateway, bounded, node])
    t.notMatch(program.output.stderr, /unhandled|uncaught|Warning:|TypeError/i);
  t.end();
});

function residentKb(): number {
  const line = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${gateway.program.pid}/status`, 'utf8'));
  return Number(line?.[1]);
}
