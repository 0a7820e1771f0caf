/** Budgets of answer bytes and requests at once, as clients meet them. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { connect } from 'node:tls';
import tap, { test } from 'tap';
import { HttpsClient, Http2Client } from '../support/https-client.ts';
import { targetOf } from '../support/open-policy.ts';
import { startRecordingUpstream } from '../support/recording-upstream.ts';
import { type RunningGateway, startGateway } from '../support/start-gateway.ts';

const KIB = 1024;
let held: (() => void)[] = [];
const upstream = await startRecordingUpstream((request, response) => {
  const [, path = '', amount = ''] = request.url.split('/');
  if (request.method === 'POST') {
    response.setHeader('set-cookie', `SID=${Math.random()}; Path=/`);
    response.writeHead(303, { location: '/' }).end();
  } else if (path === 'held') held.push(() => response.end('held'));
  else if (path === 'endless') {
    const timer = setInterval(() => response.write(Buffer.alloc(64 * KIB)), 5);
    response.once('close', () => clearInterval(timer));
  } else response.end(Buffer.alloc(Number(amount) * KIB));
});
const policies = `
accounts: { single: main }
tls:
  certificates:
    - { hosts: [localhost], self_signed: true }
regions:
  - { id: home, nodes: ["${upstream.origin}"], health: { timeout: 30s } }
routes:
  - { name: login, match: { path: /login }, access: public }
  - { name: held, match: { path: /held }, access: session, limit: few }
  - { name: api, match: { path: "/api/**" }, access: api_key, limit: api }
  - { name: app, match: { path: "/**" }, access: session, limit: person }
sessions:
  vault: [SID]
  begin:
    - { match: { method: POST, path: /login }, subject: form.user, success: { status: 303 } }
limits:
  person: { per: session, requests: 1000/1m, response_bytes: 3MiB/1h }
  api: { per: [api_key, account], response_bytes: 1MiB/1h }
  few: { per: session, parallel: 2 }
`;
let gateway: RunningGateway = await startGateway(policies);
const clients: { close(): void }[] = [];
tap.teardown(async () => {
  for (const client of clients) client.close();
  await gateway.program.stop();
  await upstream.close();
});

async function signIn<Client extends HttpsClient | Http2Client>(
  client: Client,
  user: string,
): Promise<Client> {
  clients.push(client);
  await client.send('POST', '/login', { form: { user } });
  return client;
}

const person = (user: string) => signIn(new HttpsClient(targetOf(gateway)), user);

async function metrics(): Promise<string> {
  return await (await fetch(`${gateway.listeners.ops}/metrics`)).text();
}

function auditText(): string {
  const folder = join(gateway.data, 'audit');
  return readdirSync(folder)
    .map((file) => readFileSync(join(folder, file), 'utf8'))
    .join('');
}

/** The last line that holds a text, once it is there. */
async function lineWith(read: () => string, text: string): Promise<string> {
  for (let tries = 0; tries < 250; tries += 1) {
    const line = read()
      .split('\n')
      .findLast((each) => each.includes(text));
    if (line !== undefined) return line;
    await pause(20);
  }
  throw new Error(`no line with ${text}`);
}

await test('past its budget a session is answered 429, with a record and a metric, and nobody else is', async (t) => {
  const anna = await person('anna');
  for (let round = 0; round < 3; round += 1) t.equal((await anna.get('/bytes/900')).status, 200);
  const last = await anna.get('/bytes/372');
  t.equal(last.status, 200, 'the last byte of the budget');
  t.match(last.header('ratelimit'), /^"person";r=\d+;t=\d+, "person:bytes";r=\d+;t=3\d\d\d$/);
  t.match(last.header('ratelimit-policy'), /, "person:bytes";q=3145728;qu="content-bytes";w=3600$/);
  const seen = upstream.requests.length;
  const over = await anna.get('/bytes/1');
  t.equal(over.status, 429);
  t.match(JSON.parse(over.text), { code: 'rate_limited' });
  t.match(over.header('retry-after'), /^3\d\d\d$/);
  t.match(over.header('ratelimit'), /"person:bytes";r=0;/);
  t.equal(upstream.requests.length, seen, 'the application saw none of it');
  t.equal((await (await person('boris')).get('/bytes/900')).status, 200);
  const text = await metrics();
  t.match(text, /zasov_rate_limited_total\{limit="person"\} 1/);
  t.match(text, /zasov_budgets_spent_total\{limit="person"\} 1/);
  t.match(text, new RegExp(`zasov_response_bytes_total\\{limit="person"\\} ${(3072 + 900) * KIB}`));
  t.match(await lineWith(auditText, 'budget.spent'), /"by":"session","limit":"person"/);
  const log = () => gateway.program.output.stderr;
  t.match(await lineWith(log, 'a budget of answer bytes is used up'), /"sessionId"/);
});

await test('a signed-in browser whose budget is half full is told nothing of it', async (t) => {
  const answer = await (await person('carla')).get('/bytes/10');
  t.match(answer.header('ratelimit'), /^"person";r=\d+;t=\d+$/);
});

for (const protocol of ['HTTP/1.1', 'HTTP/2'])
  await test(`an endless answer is cut where the budget ends, over ${protocol}`, async (t) => {
    const target = targetOf(gateway);
    const path = `/endless/${protocol === 'HTTP/2' ? 'h2' : 'h1'}`;
    const client = await signIn(
      protocol === 'HTTP/2' ? new Http2Client(target) : new HttpsClient(target),
      protocol,
    );
    await t.rejects(client.send('GET', path), 'never a clean end');
    t.equal((await client.send('GET', '/bytes/1')).status, 429);
    const line = await lineWith(() => gateway.program.output.stderr, path);
    const { bytes_out: bytes } = JSON.parse(line) as { bytes_out: number };
    t.ok(bytes > 2 * 1024 * KIB && bytes <= 3 * 1024 * KIB, `${bytes} bytes went out`);
    t.match(line, /"code":"rate_limited"/);
  });

await test('an answer that is announced longer than the budget is refused whole; its head costs nothing', async (t) => {
  const dora = await person('dora');
  t.equal((await dora.send('HEAD', '/bytes/5000')).status, 200);
  t.equal((await dora.get('/bytes/5000')).status, 429);
  t.equal((await dora.get('/bytes/100')).status, 200, 'what fits still comes');
});

await test('an API key has its budget in every answer, and the account has its own', async (t) => {
  const issue = () => {
    const words = ['keys', 'issue', '--account', 'main', '--subject', 'robot', '--json'];
    return (JSON.parse(gateway.command(...words).stdout) as { key: string }).key;
  };
  const [one, two] = [issue(), issue()];
  const client = new HttpsClient(targetOf(gateway));
  clients.push(client);
  const ask = (key: string, path: string) => client.get(path, { headers: { 'x-api-key': key } });
  const first = await ask(one, '/api/600');
  t.equal(first.header('ratelimit')?.split(', ').length, 2);
  t.match(first.header('ratelimit'), /^"api:bytes";r=1048576;/);
  t.equal((await ask(two, '/api/600')).status, 429, 'longer than what the account has left');
  t.equal((await ask(two, '/api/400')).status, 200);
});

await test('a restart hands out no fresh budget', async (t) => {
  const erna = await person('erna');
  for (let round = 0; round < 4; round += 1) await erna.get('/bytes/768');
  t.equal((await erna.get('/bytes/1')).status, 429);
  const { jar } = erna;
  await gateway.program.stop();
  gateway = await startGateway(policies, gateway.data);
  const again = new HttpsClient(targetOf(gateway), jar);
  clients.push(again);
  let answer = await again.get('/bytes/1');
  for (let tries = 0; tries < 50 && answer.status === 200; tries += 1) answer = await again.get('/bytes/1');
  t.equal(answer.status, 429);
});

await test('beyond the requests at once others wait for their turn, and the rest is 429', async (t) => {
  const [frida, gerd] = [await person('frida'), await person('gerd')];
  held = [];
  const refused: number[] = [];
  const answers = Array.from({ length: 10 }, async () => {
    const answer = await frida.get('/held');
    if (answer.status === 429) refused.push(answer.status);
    return answer;
  });
  const settled = Promise.all(answers);
  // All ten are there once two were refused.
  while (held.length < 2 || refused.length < 2) await pause(10);
  const other = gerd.get('/held');
  while (held.length < 3) await pause(10);
  t.equal(held.length, 3, 'two of hers run, and one of his');
  const release = setInterval(() => held.splice(0).forEach((finish) => finish()), 10);
  const statuses = (await settled).map(({ status }) => status);
  t.equal((await other).status, 200);
  clearInterval(release);
  t.equal(statuses.filter((status) => status === 200).length, 8);
  t.equal(statuses.filter((status) => status === 429).length, 2);
  const calm = frida.get('/held');
  while (held.length < 1) await pause(10);
  held.splice(0).forEach((finish) => finish());
  t.equal((await calm).status, 200, 'every place was given back');
});

await test('clients that go away while they wait give their place to others', async (t) => {
  const hans = await person('hans');
  held = [];
  const running = [hans.get('/held'), hans.get('/held')];
  while (held.length < 2) await pause(10);
  const cookie = hans.jar.header();
  for (let gone = 0; gone < 4; gone += 1) {
    const socket = connect({ port: gateway.port, ca: gateway.ca, servername: 'localhost' });
    socket.write(
      `GET /held HTTP/1.1\r\nHost: localhost:${gateway.port}\r\nUser-Agent: zasov-test\r\nCookie: ${cookie}\r\n\r\n`,
    );
    await pause(30);
    socket.destroy();
  }
  const waiting = hans.get('/held');
  await pause(30);
  t.equal(held.length, 2);
  held.splice(0).forEach((finish) => finish());
  await Promise.all(running);
  while (held.length < 1) await pause(10);
  held.splice(0).forEach((finish) => finish());
  t.equal((await waiting).status, 200);
});
