/** Tunnels of administrators to the servers of the policy, and to nothing else. */
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import tap, { test } from 'tap';
import { auditEvents, type Credentials, metricOf } from '../support/admin-gateway.ts';
import { eventually } from '../support/wire.ts';
import { startAdminCrm } from './admin-crm.ts';

/** A server that sends back what it gets, or on `flood` as much as it can. */
const FLOOD = randomBytes(1024 * 1024);
const FLOOD_TIMES = 64;
const accepted: Socket[] = [];
const echo = createServer((socket) => {
  accepted.push(socket);
  socket.on('error', () => undefined);
  socket.on('data', (chunk: Buffer) => {
    if (chunk.toString() === 'flood') void flood(socket);
    else if (chunk.toString() === 'bye') socket.end('and good bye');
    else socket.write(chunk);
  });
});
echo.listen(0, '127.0.0.1');
await once(echo, 'listening');
const { port } = echo.address() as AddressInfo;
const SERVER = `localhost:${port}`;

async function flood(socket: Socket): Promise<void> {
  for (let count = 0; count < FLOOD_TIMES; count += 1) if (!socket.write(FLOOD)) await once(socket, 'drain');
  socket.end();
}

const crm = await startAdminCrm(`admin_access: { servers: ["LocalHost:${port}", "127.0.0.1:1"] }\n`);
const { gateway, annas, borises, client } = crm;
tap.teardown(async () => {
  for (const socket of accepted) socket.destroy();
  echo.close();
  await crm.stop();
});

interface Tunnel {
  readonly socket: TLSSocket;
  readonly status: number;
  /** What came after the head. */
  received(): string;
}

/** Asks for a tunnel over HTTP/1.1. */
async function open(credentials: Credentials | undefined, target = SERVER, early = ''): Promise<Tunnel> {
  const there = crm.target();
  const socket = connect({
    port: there.port,
    host: '127.0.0.1',
    ca: there.ca,
    servername: 'localhost',
    ...credentials,
  });
  await once(socket, 'secureConnect');
  socket.on('error', () => undefined);
  let text = '';
  socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
  socket.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n${early}`);
  await eventually(
    () => text.includes('\r\n\r\n'),
    15_000,
    () => 'an answer to CONNECT',
  );
  const status = Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1]);
  return { socket, status, received: () => text.slice(text.indexOf('\r\n\r\n') + 4) };
}

function tunnelsOpen(): Promise<number> {
  return metricOf(gateway, 'zasov_streams_active', 'kind="tunnel"');
}

function records(event: string): Record<string, unknown>[] {
  return auditEvents(gateway)
    .filter((each) => each.event === event)
    .map(({ facts }) => facts);
}

await test('bytes go both ways, and the record says whose they were, how many and how long', async (t) => {
  const tunnel = await open(annas, SERVER, 'early ');
  t.equal(tunnel.status, 200);
  tunnel.socket.write('hello');
  await eventually(() => tunnel.received() === 'early hello');
  t.equal(await tunnelsOpen(), 1);
  t.match(records('tunnel.opened').at(-1), { administrator: 'Anna', server: SERVER });
  tunnel.socket.write('bye');
  await eventually(() => tunnel.socket.destroyed);
  t.equal(tunnel.received(), 'early helloand good bye', 'what the server says last arrives');
  await eventually(async () => (await tunnelsOpen()) === 0);
  await eventually(() => records('tunnel.closed').length === 1);
  t.match(records('tunnel.closed')[0], {
    administrator: 'Anna',
    server: SERVER,
    bytes_in: 14,
    bytes_out: 23,
    reason: 'server closed',
    seconds: Number,
  });
});

await test('over HTTP/2 a tunnel is one stream of many', async (t) => {
  const session = connectHttp2(`https://localhost:${crm.adminPort}`, {
    ...crm.target(borises),
    host: '127.0.0.1',
  });
  const stream = session.request({ ':method': 'CONNECT', ':authority': SERVER });
  const [head] = (await once(stream, 'response')) as [{ ':status'?: number }];
  t.equal(head[':status'], 200);
  let text = '';
  stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
  stream.write('over h2');
  await eventually(() => text === 'over h2');
  const page = session.request({ ':path': '/.zasov/jwks.json' });
  const [answer] = (await once(page, 'response')) as [{ ':status'?: number }];
  t.equal(answer[':status'], 200);
  page.resume();
  stream.end();
  await eventually(async () => (await tunnelsOpen()) === 0);
  const refused = session.request({ ':method': 'CONNECT', ':authority': 'localhost:22' });
  const [no] = (await once(refused, 'response')) as [{ ':status'?: number }];
  t.equal(no[':status'], 403);
  session.destroy();
});

await test('what is not listed is not reached, whatever it is called', async (t) => {
  const counted = await metricOf(gateway, 'zasov_admin_denied_total', 'reason="server"');
  const before = accepted.length;
  const targets = [
    `127.0.0.1:${port}`,
    `[::1]:${port}`,
    `localhost.:${port}`,
    `localhost:0${port}`,
    `localhost:${port}x`,
    `user@localhost:${port}`,
    `localhost:${port}/x`,
    'localhost:22',
    'localhost',
    `http://localhost:${port}`,
    '*',
  ];
  for (const target of targets) {
    const tunnel = await open(annas, target);
    t.ok([400, 403].includes(tunnel.status), `${target}: ${tunnel.status}`);
    tunnel.socket.destroy();
  }
  t.equal(accepted.length, before);
  t.ok((await metricOf(gateway, 'zasov_admin_denied_total', 'reason="server"')) >= counted + 5);
  t.ok(records('admin.refused').some((facts) => facts.reason === 'server' && facts.administrator === 'Anna'));
});

await test('a server that does not answer is said to be away', async (t) => {
  const tunnel = await open(annas, '127.0.0.1:1');
  t.equal(tunnel.status, 503);
  t.match(tunnel.received(), /upstream_unreachable/);
  await eventually(async () => (await tunnelsOpen()) === 0);
});

await test('a slow reader holds the server up, and nothing piles up in the gateway', async (t) => {
  const tunnel = await open(annas);
  tunnel.socket.removeAllListeners('data');
  tunnel.socket.pause();
  tunnel.socket.write('flood');
  let last = -1;
  let server = accepted.at(-1);
  // Until nothing moves any more.
  await eventually(async () => {
    server = accepted.at(-1);
    const now = (server?.bytesWritten ?? 0) - (server?.writableLength ?? 0);
    const isStill = now === last && now > 0;
    last = now;
    await new Promise((resolve) => setTimeout(resolve, 300));
    return isStill;
  }, 30_000);
  t.ok(last < 24 * 1024 * 1024, `${last} bytes left the server`);
  const digest = createHash('sha256');
  let bytes = 0;
  tunnel.socket.on('data', (chunk: Buffer) => {
    digest.update(chunk);
    bytes += chunk.length;
  });
  tunnel.socket.resume();
  await once(tunnel.socket, 'close');
  const wanted = createHash('sha256');
  for (let count = 0; count < FLOOD_TIMES; count += 1) wanted.update(FLOOD);
  t.equal(bytes, FLOOD_TIMES * FLOOD.length);
  t.equal(digest.digest('hex'), wanted.digest('hex'));
});

await test('without a record nothing is done: no tunnel, no change, and reading goes on', async (t) => {
  const person = client(annas);
  await person.get('/admin');
  const before = [accepted.length, crm.upstream.requests.length];
  const limit = (size: string) =>
    execFileSync('prlimit', ['--pid', String(gateway.program.pid), `--fsize=${size}`]);
  // A disk that takes no byte more.
  limit('1:unlimited');
  const tunnel = await open(annas);
  t.equal(tunnel.status, 503);
  t.match(tunnel.received(), /audit_unavailable/);
  const change = await person.post('/admin/users', { name: 'x' });
  t.match(JSON.parse(change.text), { status: 503, code: 'audit_unavailable' });
  t.same([accepted.length, crm.upstream.requests.length], before);
  t.equal((await person.get('/admin')).status, 200);
  limit('unlimited:unlimited');
  await eventually(async () => (await person.post('/admin/users', { name: 'x' })).status === 200, 10_000);
  const again = await open(annas);
  t.equal(again.status, 200);
  again.socket.destroy();
  person.close();
});

await test('a revoked certificate cuts its tunnels and connections within a second, and no others', async (t) => {
  const [first, second] = [await open(annas), await open(borises)];
  const session = connectHttp2(`https://localhost:${crm.adminPort}`, {
    ...crm.target(annas),
    host: '127.0.0.1',
  });
  session.on('error', () => undefined);
  const stream = session.request({ ':method': 'CONNECT', ':authority': SERVER });
  stream.on('error', () => undefined);
  await once(stream, 'response');
  await eventually(async () => (await tunnelsOpen()) === 3);
  t.equal(gateway.command('admins', 'revoke', 'Anna').code, 0);
  await eventually(
    () => first.socket.destroyed && session.destroyed,
    2000,
    () => 'the cut',
  );
  t.notOk(second.socket.destroyed);
  second.socket.write('still here');
  await eventually(() => second.received() === 'still here');
  t.equal(await tunnelsOpen(), 1);
  t.match(
    records('tunnel.closed').filter(({ reason }) => reason === 'revoked'),
    [{ administrator: 'Anna' }, { administrator: 'Anna' }],
  );
  t.match(records('admin.cut').at(-1), { administrator: 'Anna', reason: 'revoked' });
  const refused = await client(annas).get('/admin');
  t.match(JSON.parse(refused.text), { code: 'certificate_refused' });
  t.ok((await metricOf(gateway, 'zasov_admin_denied_total', 'reason="revoked"')) > 0);
  second.socket.destroy();
});
