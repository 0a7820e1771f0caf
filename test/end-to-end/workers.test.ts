/** Two worker processes behind one port are one gateway. */
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { connect } from 'node:tls';
import tap, { test } from 'tap';
import { Agent, WebSocket } from 'undici';
import { type HttpsClient, Http2Client } from '../support/https-client.ts';
import { smallCrmPolicy, startSmallCrm } from '../support/small-crm.ts';
import { startGateway } from '../support/start-gateway.ts';
import { clientOf, signIn, whoAmI } from './small-crm-client.ts';
import { clientsOnWorkers, control, metric, workersOf } from './worker-node.ts';

const crm = await startSmallCrm();
const policy = `workers: 2\n${smallCrmPolicy(crm.origin).replace('path: /login }, access', 'path: [/login, "/login/**"] }, access')}`;
const gateway = await startGateway(policy);
const policyFile = join(gateway.data, 'test-policies.yaml');
const dispatcher = new Agent({ connect: { ca: gateway.ca, servername: 'localhost' } });
const clients: HttpsClient[] = [];
const kept = <Clients extends HttpsClient[]>(some: Clients): Clients => {
  clients.push(...some);
  return some;
};
tap.teardown(async () => {
  for (const client of clients) client.close();
  await dispatcher.destroy();
  await gateway.program.stop();
  await crm.close();
});

/** A WebSocket of this person; resolves once it is open. @returns when it closed, and with which code. */
async function openSocket(person: HttpsClient): Promise<{ closed: Promise<{ code: number; atMs: number }> }> {
  const headers = { cookie: person.jar.header(), 'user-agent': 'zasov-test' };
  const socket = new WebSocket(`wss://127.0.0.1:${gateway.port}/live`, { dispatcher, headers });
  const closed = new Promise<{ code: number; atMs: number }>((resolve) => {
    socket.addEventListener('close', ({ code }) => resolve({ code, atMs: performance.now() }));
  });
  await new Promise((resolve, reject) => {
    socket.addEventListener('open', resolve);
    socket.addEventListener('close', ({ code }) => reject(new Error(`the handshake failed: ${code}`)));
  });
  return { closed };
}

async function sessionIdOf(subject: string): Promise<string> {
  const rows = (await control(gateway, 'GET', `/v1/sessions?subject=${subject}`)) as { id: string }[];
  return rows[0]?.id ?? '';
}

await test('connections of HTTP/1.1, HTTP/2 and WebSocket are spread over all workers', async (t) => {
  const target = { host: 'localhost', port: gateway.port, ca: gateway.ca };
  const person = clientOf(gateway);
  await signIn(person, 'olga');
  const h1 = kept(Array.from({ length: 16 }, () => clientOf(gateway)));
  const h2 = Array.from({ length: 16 }, () => new Http2Client(target));
  const before = await workersOf(gateway);
  t.equal(before.length, 2);
  const ready = await fetch(`${gateway.listeners.ops}/readyz`);
  t.equal(ready.status, 200);
  t.match(await ready.json(), { ready: true, checks: { workers: true } });
  await Promise.all([
    ...h1.map((client) => client.get('/login')),
    ...h2.map((client) => client.send('GET', '/login')),
  ]);
  const sockets = await Promise.all(Array.from({ length: 16 }, () => openSocket(person)));
  const after = await workersOf(gateway);
  const total = after.reduce((sum, { connections }) => sum + connections, 0);
  t.ok(total >= 49, 'the status is of the whole node');
  for (const { connections } of after) t.ok(connections >= 8, `${connections} of ${total} connections`);
  for (const client of h2) client.close();
  await control(gateway, 'DELETE', `/v1/sessions/${await sessionIdOf('olga')}`);
  for (const { closed } of sockets) t.equal((await closed).code, 4401);
  person.close();
});

await test('a session begun on one worker is valid on the other at once, and over on both at once', async (t) => {
  const [one, other] = kept(await clientsOnWorkers(gateway));
  if (one === undefined || other === undefined) throw new Error('two workers are needed');
  for (const login of ['anna', 'boris', 'vera']) {
    await signIn(one, login);
    for (const name of one.jar.names()) other.jar.set(name, one.jar.get(name) ?? '');
    t.equal(await whoAmI(other), login);
    t.equal((await other.get('/logout')).status, 302);
    t.equal(await whoAmI(one), undefined, 'not even the very next request is let in');
  }
});

await test('a change of credentials is known to every worker when it is reported', async (t) => {
  const [one, other] = kept(await clientsOnWorkers(gateway));
  if (one === undefined || other === undefined) throw new Error('two workers are needed');
  for (let round = 0; round < 20; round += 1) {
    await signIn(one, 'dora');
    for (const name of one.jar.names()) other.jar.set(name, one.jar.get(name) ?? '');
    t.equal(await whoAmI(other), 'dora');
    const reported = await control(gateway, 'POST', '/v1/subjects/main/dora/credentials-changed');
    t.same(reported, { sessions_ended: 1, keys_rotated: 0 });
    t.equal(await whoAmI(other), undefined, 'not even the very next request is let in');
    t.equal(await whoAmI(one), undefined);
  }
});

await test('revocation closes the WebSockets on every worker in milliseconds', async (t) => {
  const rounds = 40;
  const took: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const person = clientOf(gateway);
    await signIn(person, `person${round}`);
    const id = await sessionIdOf(`person${round}`);
    const sockets = await Promise.all([openSocket(person), openSocket(person)]);
    const beganMs = performance.now();
    await control(gateway, 'DELETE', `/v1/sessions/${id}`);
    t.equal(await whoAmI(person), undefined);
    const ends = await Promise.all(sockets.map(({ closed }) => closed));
    t.strictSame(
      ends.map(({ code }) => code),
      [4401, 4401],
    );
    took.push(Math.max(...ends.map(({ atMs }) => atMs - beganMs)));
    person.close();
  }
  took.sort((a, b) => a - b);
  const p99 = took[Math.ceil(rounds * 0.99) - 1] ?? Infinity;
  t.comment(
    `from the order to the closed WebSocket: p50 ${took[rounds / 2]?.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms`,
  );
  t.ok(p99 < 1000);
});

await test('a TLS session of one worker resumes on the other', async (t) => {
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const dial = async (session?: Buffer): Promise<{ reused: boolean; ticket: Buffer }> => {
      const socket = connect({
        host: '127.0.0.1',
        port: gateway.port,
        ca: gateway.ca,
        servername: 'localhost',
        minVersion: version,
        maxVersion: version,
        ...(session === undefined ? {} : { session }),
      });
      let ticket = Buffer.alloc(0);
      socket.on('session', (given) => (ticket = given));
      await once(socket, 'secureConnect');
      const reused = socket.isSessionReused();
      socket.write('GET /login HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n');
      socket.resume();
      await once(socket, 'close');
      return { reused, ticket };
    };
    const { ticket } = await dial();
    // Twenty connections that all go to one worker would be one chance in half a million.
    for (let round = 0; round < 20; round += 1) t.equal((await dial(ticket)).reused, true, version);
  }
});

await test('metrics are of the whole node', async (t) => {
  const [one, other] = kept(await clientsOnWorkers(gateway));
  const before = await metric(gateway, 'zasov_requests_total');
  for (let round = 0; round < 5; round += 1) await Promise.all([one?.get('/login'), other?.get('/login')]);
  t.equal(await metric(gateway, 'zasov_requests_total'), before + 10);
  t.equal(await metric(gateway, 'zasov_workers'), 2);
  t.equal(await metric(gateway, 'zasov_region_healthy'), 1);
});

await test('a bad set of policies changes nothing on any worker, a good one changes all', async (t) => {
  const both = kept(await clientsOnWorkers(gateway));
  const good = readFileSync(policyFile, 'utf8');
  const statuses = async () =>
    await Promise.all(both.map(async (client) => (await client.get('/login/x')).status));
  t.strictSame(await statuses(), [200, 200]);
  const closing = good.replace(
    'routes:\n',
    'routes:\n  - { name: shut, match: { path: /login/x }, access: deny }\n',
  );
  writeFileSync(policyFile, `${closing}\nnonsense: true\n`);
  const refused = gateway.command('reload');
  t.equal(refused.code, 1);
  t.match(
    refused.stderr + refused.stdout,
    /test-policies\.yaml:\d+:\d+: .*nonsense/,
    'the operator’s own file is named',
  );
  t.strictSame(await statuses(), [200, 200]);
  writeFileSync(policyFile, closing);
  t.match(gateway.command('reload'), { code: 0 });
  t.strictSame(await statuses(), [403, 403]);
  writeFileSync(policyFile, good);
  t.match(gateway.command('reload'), { code: 0 });
  t.strictSame(await statuses(), [200, 200]);
  // Both the command and the change of the file may have led to a reading; neither is counted once for each worker.
  const readings = await metric(gateway, 'zasov_policy_reloads_total');
  t.ok(readings >= 3 && readings <= 6, `${readings} readings`);
});

await test('SIGTERM lets a running download finish on its worker, and the exit code is 0', async (t) => {
  const person = clientOf(gateway);
  await signIn(person, 'olga');
  const bytes = 30_000_000;
  const outgoing = request({
    host: '127.0.0.1',
    port: gateway.port,
    servername: 'localhost',
    ca: gateway.ca,
    path: `/download?bytes=${bytes}`,
    headers: { host: `localhost:${gateway.port}`, cookie: person.jar.header(), 'user-agent': 'zasov-test' },
  }).end();
  const [answer] = (await once(outgoing, 'response')) as [IncomingMessage];
  await pause(100);
  const pids = (await workersOf(gateway)).map(({ pid }) => pid);
  // A terminal and some service managers signal the workers too.
  for (const pid of pids) process.kill(pid, 'SIGTERM');
  const stopped = gateway.program.stop();
  await pause(300);
  let received = 0;
  for await (const chunk of answer) received += (chunk as Buffer).length;
  t.equal(received, bytes);
  t.equal(await stopped, 0);
  for (const pid of pids) t.throws(() => process.kill(pid, 0), 'no worker is left');
  person.close();
});
