/** What an operator does and sees while the gateway runs: reload, metrics, status, the control socket. */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { type IncomingMessage, request as httpRequest } from 'node:http';
import { request } from 'node:https';
import { join } from 'node:path';
import tap, { test } from 'tap';
import { Agent, WebSocket } from 'undici';
import { parse } from 'yaml';
import { CONTROL_OPERATIONS } from '../../gateway/server/control-api.ts';
import type { HttpsClient } from '../support/https-client.ts';
import { smallCrmPolicy, startSmallCrm } from '../support/small-crm.ts';
import { startGateway, temporaryDirectory } from '../support/start-gateway.ts';
import { eventually, Wire } from '../support/wire.ts';
import { clientOf, signIn, whoAmI } from './small-crm-client.ts';

const crm = await startSmallCrm();
const TEXT = smallCrmPolicy(crm.origin, '  rotate_every: 1s\n  grace: 500ms\n');
const gateway = await startGateway(TEXT);
const policies = join(gateway.data, 'test-policies.yaml');
const LISTEN = readFileSync(policies, 'utf8').slice(0, -TEXT.length);
const dispatcher = new Agent({ connect: { ca: gateway.ca, servername: 'localhost' } });
const clients: HttpsClient[] = [];
tap.teardown(async () => {
  for (const client of clients) client.close();
  await gateway.program.stop();
  await dispatcher.destroy();
  await crm.close();
});

async function person(login: string): Promise<HttpsClient> {
  const client = clientOf(gateway);
  clients.push(client);
  await signIn(client, login);
  return client;
}

async function metric(line: string): Promise<number> {
  const text = await (await fetch(`${gateway.listeners.ops}/metrics`)).text();
  const found = text.split('\n').find((each) => each.startsWith(`${line} `));
  return Number(found?.slice(line.length + 1) ?? 0);
}

function writePolicies(text: string): void {
  writeFileSync(`${policies}.new`, LISTEN + text);
  renameSync(`${policies}.new`, policies);
}

const RELOADED = 'zasov_policy_reloads_total{result="ok"}';
const REFUSED = 'zasov_policy_reloads_total{result="refused"}';

await test('new policies are in force by themselves, and no stream notices', async (t) => {
  const user = await person('olga');
  const headers = { cookie: user.jar.header(), 'user-agent': 'zasov-test' };
  const socket = new WebSocket(`wss://127.0.0.1:${gateway.port}/live`, { dispatcher, headers });
  await once(socket, 'open');
  let closed = 0;
  socket.addEventListener('close', () => (closed += 1));
  const outgoing = request({
    host: '127.0.0.1',
    port: gateway.port,
    servername: 'localhost',
    ca: gateway.ca,
    path: '/events',
    headers: { host: `localhost:${gateway.port}`, ...headers },
  }).end();
  const [events] = (await once(outgoing, 'response')) as [IncomingMessage];
  let received = 0;
  events.on('data', () => (received += 1)).once('close', () => (closed += 1));
  const download = await Wire.open(gateway);
  download.socket.pause();
  download.send(
    `GET /download?bytes=30000000 HTTP/1.1\r\nHost: localhost\r\nUser-Agent: zasov-test\r\nCookie: ${headers.cookie}\r\nConnection: close\r\n\r\n`,
  );

  t.equal((await user.get('/secret')).status, 200);
  const reloads = await metric(RELOADED);
  writePolicies(
    TEXT.replace('routes:', 'routes:\n  - { name: closed, match: { path: /secret }, access: deny }'),
  );
  await eventually(
    async () => (await metric(RELOADED)) > reloads,
    8000,
    () => 'the reload',
  );
  t.equal((await user.get('/secret')).status, 403);
  writePolicies(TEXT);
  process.kill(gateway.program.pid, 'SIGHUP');
  await eventually(
    async () => (await user.get('/secret')).status === 200,
    8000,
    () => 'the old rule',
  );

  const before = received;
  const echo = once(socket, 'message');
  socket.send('still there');
  t.match(await echo, [{ data: 'echo: still there' }]);
  await eventually(
    () => received > before,
    3000,
    () => 'another event',
  );
  download.socket.resume();
  await download.closed(20_000);
  const body = download.received.length - download.received.indexOf('\r\n\r\n') - 4;
  t.equal(body, 30_000_000, 'the download went on');
  t.equal(closed, 0);
  socket.close();
  outgoing.destroy();
});

await test('policies with mistakes change nothing and say what is wrong and where', async (t) => {
  const user = await person('olga');
  for (const [broken, said] of [
    [TEXT.replace('routes:', 'rutes:'), /test-policies\.yaml:\d+:\d+: .*rutes/],
    [TEXT.replace('access: session', 'access: sesion'), /test-policies\.yaml:\d+:\d+: .*sesion/],
    ['routes: [', /test-policies\.yaml:\d+:\d+/],
    ['', /test-policies\.yaml/],
  ] as const) {
    const refusals = await metric(REFUSED);
    const reloads = await metric(RELOADED);
    writePolicies(broken);
    process.kill(gateway.program.pid, 'SIGHUP');
    await eventually(
      async () => (await metric(REFUSED)) > refusals,
      8000,
      () => 'the refusal',
    );
    t.equal(await metric(RELOADED), reloads);
    t.equal(await whoAmI(user), 'olga');
    const { code, stderr } = gateway.command('reload');
    t.equal(code, 1);
    t.match(stderr, said);
    await eventually(
      () => said.test(gateway.program.output.stderr),
      3000,
      () => 'the log line',
    );
    t.match(gateway.command('status').stdout, /refused at /);
  }
  rmSync(policies);
  t.match(gateway.command('reload'), { code: 1 });
  t.equal(await whoAmI(user), 'olga');
  writePolicies(TEXT);
  t.match(gateway.command('reload'), { code: 0, stdout: /in force/ });
});

await test('the metrics of the contract are there and move', async (t) => {
  const user = await person('olga');
  const count = 'zasov_requests_total{route="app",access="session",status="200"}';
  const before = await metric(count);
  await whoAmI(user);
  t.equal(await metric(count), before + 1);
  t.ok((await metric('zasov_sessions_active')) >= 1);
  const text = await (await fetch(`${gateway.listeners.ops}/metrics`)).text();
  for (const name of [
    'requests_total',
    'request_seconds_bucket',
    'sessions_active',
    'session_rotations_total',
    'session_grace_hits_total',
    'region_healthy{region="home"}',
    `node_healthy{region="home",node="${crm.origin}"}`,
    'failovers_total',
    'certificate_expiry_timestamp_seconds{host="localhost"}',
    'policy_reloads_total',
    'streams_active{kind="websocket"} 0',
    'streams_active{kind="sse"} 0',
    'store_seconds_count',
  ])
    t.ok(text.includes(`zasov_${name}`), name);
});

await test('livez and readyz answer, and nothing else is there', async (t) => {
  for (const [path, status] of [
    ['/livez', 200],
    ['/readyz', 200],
    ['/', 404],
    ['/v1/status', 404],
  ] as const)
    t.equal((await fetch(`${gateway.listeners.ops}${path}`)).status, status, path);
});

/** One call on the control socket. */
async function control(method: string, path: string): Promise<{ status: number; value: unknown }> {
  const call = httpRequest({ socketPath: join(gateway.data, 'control.sock'), method, path }).end();
  const [answer] = (await once(call, 'response')) as [IncomingMessage];
  let text = '';
  for await (const chunk of answer.setEncoding('utf8')) text += chunk as string;
  return { status: answer.statusCode ?? 0, value: JSON.parse(text) };
}

await test('the OpenAPI file describes every operation of the control socket and no other', (t) => {
  const { paths } = parse(readFileSync('gateway/server/openapi.yaml', 'utf8')) as {
    paths: Record<string, Record<string, unknown>>;
  };
  const described = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path.replaceAll(/\{\w+\}/g, '*')}`),
  );
  t.strictSame(new Set(described), new Set(CONTROL_OPERATIONS));
  t.end();
});

await test('the control socket does what it says and takes no nonsense', async (t) => {
  const user = await person('Галина Б');
  t.match(await control('GET', '/v1/status'), { status: 200, value: { ready: true, policies: {} } });
  const subject = encodeURIComponent('Галина Б');
  const listed = await control('GET', `/v1/sessions?account=main&subject=${subject}`);
  t.match(listed, { status: 200, value: [{ account: 'main', subject: 'Галина Б', state: 'active' }] });
  t.match(await control('GET', '/v1/sessions?subject=nobody'), { status: 200, value: [] });
  t.match(await control('POST', `/v1/subjects/main/${subject}/credentials-changed`), {
    status: 200,
    value: { sessions_ended: 1 },
  });
  t.equal(await whoAmI(user), undefined);
  t.match(await control('DELETE', '/v1/sessions?subject=x'), { status: 400 });
  t.match(await control('DELETE', '/v1/sessions/none'), { status: 404 });
  t.match(await control('DELETE', '/v1/sessions?account=main&subject=x'), {
    status: 200,
    value: { revoked: 0 },
  });
  t.match(await control('PUT', '/v1/status'), { status: 405 });
  for (const path of ['/', '//', '/v1', '/v1/sessions/', '/v1/sessions/%ff', '/v2/status', '/v1/../v1/statu'])
    t.match(await control('DELETE', path), { status: 404 }, path);
});

await test('sessions are listed and revoked on the command line, with exit codes to rely on', async (t) => {
  const user = await person('igor');
  const rows = JSON.parse(gateway.command('sessions', 'list', '--subject', 'igor', '--json').stdout) as {
    id: string;
  }[];
  t.match(rows, [
    { account: 'main', subject: 'igor', state: 'active', created_at: /T/, last_seen_at: /T/, generation: 0 },
  ]);
  const table = gateway.command('sessions', 'list', '--subject', 'igor');
  t.match(table, { code: 0, stdout: /^ID +ACCOUNT +SUBJECT +STATE .*\n\S+ +main +igor +active/ });
  const id = rows[0]?.id ?? '';
  t.match(gateway.command('sessions', 'revoke', id), { code: 0, stdout: /^1 session ended/ });
  t.equal(await whoAmI(user), undefined);
  t.match(gateway.command('sessions', 'revoke', id), { code: 1, stdout: '', stderr: /^zasov: .+\n$/ });
  t.match(gateway.command('sessions', 'revoke'), { code: 2, stderr: /^zasov: .+\n$/ });
  t.match(gateway.command('sessions', 'frobnicate'), { code: 2 });
  t.match(gateway.command('sessions', 'list', '--nonsense'), { code: 2 });
  t.match(gateway.command('frobnicate'), { code: 2 });
  const none = spawnSync(process.execPath, ['gateway/zasov.mjs', 'status', '--data', temporaryDirectory()], {
    encoding: 'utf8',
  });
  t.match(none, { status: 1, stdout: '', stderr: /^zasov: no gateway runs here \(.+\).*\n$/ });
});

await test('the status is readable for people and for programs', async (t) => {
  // The CRM is this very process, and commands block it: its health checks may have failed, and a connection that was
  // kept for metrics may be closed by now.
  const isHealthy = () => metric(`zasov_node_healthy{region="home",node="${crm.origin}"}`).catch(() => 0);
  await eventually(async () => (await isHealthy()) === 1, 15_000);
  const status = JSON.parse(gateway.command('status', '--json').stdout) as Record<string, unknown>;
  t.match(status, {
    ready: true,
    pid: gateway.program.pid,
    listeners: gateway.listeners,
    nodes: [{ region: 'home', url: crm.origin, healthy: true }],
    certificates: [{ host: 'localhost' }],
  });
  const { code, stdout } = gateway.command('status');
  t.equal(code, 0);
  for (const part of ['ready', String(gateway.program.pid), gateway.listeners.public, crm.origin, 'healthy'])
    t.ok(stdout.includes(part), part);
});
