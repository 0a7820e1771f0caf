/** Who answers what, by what the nodes say of themselves: through the whole gateway, on real sockets. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import tap, { test } from 'tap';
import { Http2Client, HttpsClient, type Target } from '../support/https-client.ts';
import { type RunningGateway, startGateway } from '../support/start-gateway.ts';

tap.setTimeout(120_000);
const PATIENCE_MS = 15_000;

/** A node that says of itself what it is told to, and remembers what it was asked. */
class SpeakingNode {
  document: Record<string, unknown> | undefined;
  position: string | undefined;
  readonly asked: { method: string; url: string; body: string; cookie: string }[] = [];
  isFrozen = false;
  readonly #server = createServer((request, response) => void this.#answer(request, response));

  async start(): Promise<this> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return this;
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  count(method: string, url: string): number {
    return this.asked.filter((each) => each.method === method && each.url === url).length;
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '' } = request;
    let body = '';
    for await (const chunk of request.setEncoding('utf8')) body += chunk as string;
    if (url !== '/healthz') this.asked.push({ method, url, body, cookie: request.headers.cookie ?? '' });
    if (this.isFrozen || url === '/never') return;
    if (url === '/healthz') response.end(JSON.stringify(this.document ?? 'ok'));
    else this.#serve(method, url, response);
  }

  #serve(method: string, url: string, response: ServerResponse): void {
    if (url === '/login') response.setHeader('zasov-session', 'begin; subject="anna"');
    if (this.position !== undefined && method !== 'GET') response.setHeader('zasov-position', this.position);
    response.end(this.origin);
  }
}

const [one, two, three] = await Promise.all([1, 2, 3].map(() => new SpeakingNode().start()));
if (one === undefined || two === undefined || three === undefined) throw new Error('three nodes');
const nodes = [one, two, three];
one.document = { status: 'ok', role: 'replica', epoch: 3, position: '100', lag_ms: 10 };
two.document = { status: 'ok', role: 'primary', epoch: 3, position: '100', lag_ms: 0 };
three.document = { status: 'ok', role: 'replica', epoch: 3, position: '100', lag_ms: 10 };
const health = '{ every: 100ms, timeout: 2s, unhealthy_after: 2, healthy_after: 1 }';

function policy(more = ''): string {
  return `
accounts: { single: main }
tls: { certificates: [{ hosts: [localhost], self_signed: true }] }
regions:
  - { id: msk, nodes: ["${one?.origin}"], health: ${health} }
  - { id: spb, nodes: ["${two?.origin}"], health: ${health} }
  - { id: nsk, nodes: ["${three?.origin}"], health: ${health} }
routing: { home: { default: msk }, failover: [msk, nsk, spb], write_wait: 1500ms }
routes:
  - { name: report, match: { path: /report }, access: public, writes: true }
  - { name: open, match: { path: ["/login", "/open", "/never"] }, access: public }
  - { name: app, match: { path: "/**" }, access: session }
sessions: {}
${more}`;
}

const gateway = await startGateway(policy());
tap.teardown(async () => {
  await gateway.program.stop();
  for (const node of nodes) node.close();
});

function targetOf({ port, ca }: RunningGateway): Target {
  return { host: 'localhost', port, ca };
}

async function until(what: string, isThere: () => boolean | Promise<boolean>): Promise<void> {
  for (const end = performance.now() + PATIENCE_MS; !(await isThere()); await pause(20))
    if (performance.now() > end) throw new Error(`not in time: ${what}`);
}

async function metric(line: string): Promise<boolean> {
  return (await (await fetch(`${gateway.listeners.ops}/metrics`)).text()).includes(line);
}

const client = new HttpsClient(targetOf(gateway));
tap.teardown(() => client.close());

await test('reads are answered at home, changes by the primary, wherever that is', async (t) => {
  t.equal((await client.get('/open')).text, one.origin);
  t.equal((await client.send('HEAD', '/open')).status, 200);
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE'])
    t.equal((await client.send(method, '/open', { body: 'x' })).text, two.origin, method);
  t.equal((await new HttpsClient(targetOf(gateway)).get('/report')).text, two.origin, 'writes: true');
  t.equal((await client.send('OPTIONS', '/report')).text, two.origin);
});

await test('a person reads from a copy that holds what they wrote, else from the primary', async (t) => {
  two.position = '105';
  const anna = new HttpsClient(targetOf(gateway));
  const signedIn = await anna.send('POST', '/login', { body: 'x' });
  t.equal(signedIn.header('zasov-position'), undefined, 'nobody outside learns positions');
  t.match(
    signedIn.setCookies.join(' '),
    /__Host-Http-zasov-wrote=[\w-]{12}; Path=\/; Secure; HttpOnly; SameSite=Lax; Max-Age=\d+/,
  );
  t.equal((await anna.get('/page')).text, two.origin, 'home stands at 100, the change at 105');
  t.equal(
    (await new HttpsClient(targetOf(gateway)).get('/open')).text,
    one.origin,
    'others are not concerned',
  );
  three.document = { ...three.document, position: '105' };
  await until('the third has it', async () => (await anna.get('/page')).text === three.origin);
  one.document = { ...one.document, position: '106' };
  await until('home has it', async () => (await anna.get('/page')).text === one.origin);
  t.ok(
    one.asked.every(({ cookie }) => !cookie.includes('zasov')),
    'the cookie is nobody else’s',
  );
  two.position = undefined;
  t.equal((await anna.send('PUT', '/page', { body: 'x' })).text, two.origin);
  t.equal((await anna.get('/page')).text, two.origin, 'a change without a position is with the primary only');
  anna.close();
});

await test('a copy that is too far behind answers nobody', async (t) => {
  one.document = { ...one.document, lag_ms: 60_000 };
  await until('home is left', async () => (await stranger()) === three.origin);
  t.ok(await metric('zasov_replication_lag_seconds{region="msk"} 60'));
  one.document = { ...one.document, lag_ms: 0 };
  await until('home is back', async () => (await stranger()) === one.origin);
});

async function stranger(): Promise<string> {
  const other = new HttpsClient(targetOf(gateway));
  const { text } = await other.get('/open');
  other.close();
  return text;
}

await test('a change that finds no primary waits for one, and is sent once', async (t) => {
  two.document = { ...two.document, role: 'replica' };
  await until('nobody is primary', () =>
    metric(`zasov_node_role{region="spb",node="${two.origin}",role="replica"} 1`),
  );
  const waiting = client.send('PUT', '/open', { body: 'late change' });
  await pause(300);
  three.document = { status: 'ok', role: 'primary', epoch: 4, position: '110', lag_ms: 0 };
  t.equal((await waiting).text, three.origin);
  const taken = nodes.flatMap(({ asked }) => asked).filter(({ body }) => body === 'late change');
  t.equal(taken.length, 1);
  t.ok(await metric('zasov_primary_waits_total{result="served"} 1'));
});

await test('an old primary that comes back is fenced, also by policies that are read again', async (t) => {
  two.document = { status: 'ok', role: 'primary', epoch: 3, position: '100', lag_ms: 0 };
  await until('it is fenced', () =>
    metric(`zasov_node_role{region="spb",node="${two.origin}",role="fenced"} 1`),
  );
  t.equal((await client.send('PUT', '/open', { body: 'x' })).text, three.origin);
  t.match(gateway.command('reload'), { code: 0 });
  t.equal((await client.send('PUT', '/open', { body: 'x' })).text, three.origin);
  const { stdout } = gateway.command('status');
  t.match(stdout, new RegExp(`spb +${two.origin} +healthy +fenced +3 `));
  t.match(stdout, new RegExp(`nsk +${three.origin} +healthy +primary +4 `));
});

await test('two primaries of one epoch: changes get 503 with Retry-After until it clears', async (t) => {
  two.document = { status: 'ok', role: 'primary', epoch: 4, position: '111', lag_ms: 0 };
  await until('it is seen', () => metric('zasov_primary_conflict 1'));
  const startMs = performance.now();
  const answer = await client.send('PUT', '/open', { body: 'forked?' });
  t.match([answer.status, answer.header('retry-after')], [503, /^\d+$/]);
  t.match(JSON.parse(answer.text), { code: 'no_primary' });
  t.ok(performance.now() - startMs >= 1400, 'it waited for write_wait');
  t.notOk(nodes.some(({ asked }) => asked.some(({ body }) => body === 'forked?')));
  two.document = { status: 'ok', role: 'replica', epoch: 4, position: '111', lag_ms: 0 };
  await until('it is over', () => metric('zasov_primary_conflict 0'));
  t.equal((await client.send('PUT', '/open', { body: 'x' })).text, three.origin);
});

await test('a read that waits at a node that freezes is answered by another', async (t) => {
  one.document = { status: 'ok', role: 'replica', epoch: 4, position: '111', lag_ms: 0 };
  await until('home answers', async () => (await stranger()) === one.origin);
  one.isFrozen = true;
  const startMs = performance.now();
  t.not(await stranger(), one.origin);
  t.comment(`answered elsewhere after ${Math.round(performance.now() - startMs)} ms`);
  t.ok(performance.now() - startMs < PATIENCE_MS);
  one.isFrozen = false;
});

await test('a node that never answers has bounds: beyond them it is 503 at once', async (t) => {
  const single = await startGateway(
    policy()
      .replace(/ {2}- \{ id: (?:spb|nsk).*\n/g, '')
      .replace(/routing: .*/, ''),
  );
  one.document = undefined;
  const clients = Array.from({ length: 5 }, () => new Http2Client(targetOf(single)));
  const refused: string[] = [];
  const sent = clients.flatMap((each) =>
    Array.from({ length: 110 }, () =>
      each.send('GET', '/never', { headers: { accept: 'application/json' } }).then(
        ({ status, text }) => refused.push(`${status} ${(JSON.parse(text) as { code: string }).code}`),
        () => undefined,
      ),
    ),
  );
  await until('the bounds are reached', () => refused.length === sent.length - 512);
  t.same([...new Set(refused)], ['503 upstream_busy'], '256 are asked, 256 wait, the others know at once');
  await until('256 are asked', () => one.count('GET', '/never') === 256);
  for (const each of clients) each.close();

  await until('there is room again', async () => {
    const other = new HttpsClient(targetOf(single));
    const answer = await other.get('/open');
    other.close();
    return answer.status === 200;
  });
  await single.program.stop();
});
