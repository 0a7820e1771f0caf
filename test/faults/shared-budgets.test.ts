/** Budgets of answer bytes that WebSockets draw on, and that two gateways on one Redis share. */
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { connect } from 'node:tls';
import tap, { test } from 'tap';
import { createMasterKey } from '../../gateway/crypto/keyring.ts';
import { HttpsClient } from '../support/https-client.ts';
import { targetOf } from '../support/open-policy.ts';
import { startSingle } from '../support/redis-servers.ts';
import { type RunningGateway, startGateway, temporaryDirectory } from '../support/start-gateway.ts';
import { StreamClients } from '../support/stream-clients.ts';
import { acceptWebSocket } from '../support/websocket-echo.ts';

const KIB = 1024;
const BUDGET_KIB = 3 * KIB;
const FRAME_KIB = 16;

/** A binary frame (RFC 6455 section 5.2). */
const frame = Buffer.alloc(4 + FRAME_KIB * KIB);
frame.set([0x82, 126]);
frame.writeUInt16BE(FRAME_KIB * KIB, 2);

let sentBytes = 0;
const timers = new Set<NodeJS.Timeout>();
const application = createServer((request, response) => {
  if (request.method === 'POST')
    response.writeHead(303, { location: '/', 'set-cookie': `SID=${Math.random()}; Path=/` }).end();
  else response.end(Buffer.alloc(Number(request.url?.split('/')[2] ?? 0) * KIB));
});
application.on('upgrade', (request, socket: Duplex) => {
  if (request.url === '/live') sendForEver(acceptAnd(request, socket));
  else {
    // No WebSocket, but an answer that never ends.
    socket.on('error', () => undefined);
    socket.write('HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n');
    sendForEver(socket);
  }
});
application.listen(0, '127.0.0.1');
await new Promise((resolve) => application.once('listening', resolve));

function acceptAnd(request: Parameters<typeof acceptWebSocket>[0], socket: Duplex): Duplex {
  acceptWebSocket(request, socket);
  return socket;
}

function sendForEver(socket: Duplex): void {
  const timer = setInterval(() => {
    if (socket.writableNeedDrain) return;
    sentBytes += frame.length;
    socket.write(frame);
  }, 2);
  timers.add(timer);
  socket.once('close', () => clearInterval(timer));
}

const redis = await startSingle();
const key = join(temporaryDirectory(), 'shared-master.key');
writeFileSync(key, createMasterKey(), { mode: 0o600 });
if (redis.place.kind !== 'single') throw new Error('no single Redis');
const policies = `
store: { kind: redis, url: "${redis.place.url}" }
secrets: { master_key: "file:${key}" }
accounts: { single: main }
tls:
  certificates:
    - { hosts: [localhost], self_signed: true }
regions:
  - { id: home, nodes: ["http://127.0.0.1:${(application.address() as AddressInfo).port}"], health: { timeout: 30s } }
routes:
  - { name: login, match: { path: /login }, access: public }
  - { name: app, match: { path: "/**" }, access: session, limit: person }
sessions:
  vault: [SID]
  begin:
    - { match: { method: POST, path: /login }, subject: form.user, success: { status: 303 } }
limits:
  person: { per: session, response_bytes: 3MiB/1h }
`;
const gateways: readonly [RunningGateway, RunningGateway] = [
  await startGateway(policies),
  await startGateway(policies),
];
const closers: (() => unknown)[] = [];
tap.teardown(async () => {
  for (const close of closers) await close();
  for (const timer of timers) clearInterval(timer);
  await Promise.all(gateways.map(({ program }) => program.stop()));
  await redis.stop();
  application.closeAllConnections();
  application.close();
});

/** One browser, with a connection to either gateway. */
async function person(user: string): Promise<[HttpsClient, HttpsClient]> {
  const here = new HttpsClient(targetOf(gateways[0]));
  const there = new HttpsClient(targetOf(gateways[1]), here.jar);
  closers.push(
    () => here.close(),
    () => there.close(),
  );
  await here.send('POST', '/login', { form: { user } });
  return [here, there];
}

/** Statuses until one is 429, asked for in turn; what is counted elsewhere is told behind the request. */
async function refusedAt(client: HttpsClient, path: string): Promise<number[]> {
  const statuses: number[] = [];
  while (statuses.length < 50 && statuses.at(-1) !== 429) {
    statuses.push((await client.get(path)).status);
    await pause(20);
  }
  return statuses;
}

await test('what a session took at one gateway is gone at the other, and neither hands out the budget twice', async (t) => {
  const [here, there] = await person('anna');
  for (let round = 0; round < 2; round += 1) t.equal((await here.get('/bytes/900')).status, 200);
  const statuses = await refusedAt(there, '/bytes/300');
  t.equal(statuses.at(-1), 429);
  const takenKib = 1800 + 300 * (statuses.length - 1);
  t.ok(takenKib > BUDGET_KIB - 2 * 300 - 1, `${takenKib} KiB were to be had`);
  // What is not told yet: a twentieth of the budget for the other process, and the answer under way.
  t.ok(takenKib <= BUDGET_KIB * 1.05 + 300, `${takenKib} KiB were to be had`);
  t.equal((await refusedAt(here, '/bytes/300')).at(-1), 429);
});

await test('a WebSocket is closed with 1008 where the budget ends, and the session gets nothing at either gateway', async (t) => {
  const [here, there] = await person('boris');
  const streams = new StreamClients(gateways[0]);
  closers.push(() => streams.close());
  sentBytes = 0;
  const [ended] = await streams.openSocket(here);
  const end = await ended;
  t.equal(end?.how, 1008);
  // What the application wrote and the gateway never passed on stands in buffers between them.
  t.ok(sentBytes < 2 * BUDGET_KIB * KIB, `the application had sent ${sentBytes} bytes`);
  t.equal((await here.get('/bytes/1')).status, 429);
  t.equal((await refusedAt(there, '/bytes/1')).at(-1), 429);
  await t.rejects(streams.openSocket(here), 'and no further WebSocket');
});

await test('a refused handshake whose answer has no end is cut where the budget ends', async (t) => {
  const [here] = await person('carla');
  const { port, ca } = gateways[0];
  const socket = connect({ port, host: '127.0.0.1', servername: 'localhost', ca });
  socket.write(
    [
      'GET /refused HTTP/1.1',
      `Host: localhost:${port}`,
      'User-Agent: zasov-test',
      `Cookie: ${here.jar.header()}`,
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
      '\r\n',
    ].join('\r\n'),
  );
  let bytes = 0;
  let head = '';
  socket.on('data', (chunk: Buffer) => {
    if (bytes === 0) head = chunk.toString('latin1', 0, 15);
    bytes += chunk.length;
  });
  socket.on('error', () => undefined);
  await new Promise((resolve) => socket.once('close', resolve));
  t.equal(head, 'HTTP/1.1 200 OK');
  t.ok(bytes > (BUDGET_KIB / 2) * KIB && bytes <= (BUDGET_KIB + FRAME_KIB) * KIB, `${bytes} bytes came`);
});
