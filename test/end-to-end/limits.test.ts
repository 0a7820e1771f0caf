/** Limits of requests, as clients meet them. */
import tap, { test } from 'tap';
import { HttpsClient, Http2Client } from '../support/https-client.ts';
import { targetOf } from '../support/open-policy.ts';
import { startRecordingUpstream } from '../support/recording-upstream.ts';
import { startGateway } from '../support/start-gateway.ts';

const upstream = await startRecordingUpstream();
const gateway = await startGateway(`
accounts: { single: main }
tls:
  certificates:
    - { hosts: [localhost], self_signed: true }
regions:
  - { id: home, nodes: ["${upstream.origin}"], health: { timeout: 30s } }
routes:
  - { name: few, match: { path: /few }, access: public, limit: anonymous }
  - { name: fewer, match: { path: /also-few }, access: public, limit: anonymous }
  - { name: api, match: { path: "/api/**" }, access: api_key }
  - { name: wide, match: { path: "/wide/**" }, access: api_key, limit: wide }
sessions: {}
limits:
  anonymous: { per: client, requests: 5/1h }
  wide: { per: [api_key, account], requests: 20/1h }
`);
const clients: HttpsClient[] = [];
tap.teardown(async () => {
  for (const client of clients) client.close();
  await gateway.program.stop();
  await upstream.close();
});

function newClient(): HttpsClient {
  const client = new HttpsClient(targetOf(gateway));
  clients.push(client);
  return client;
}

function issueKey(...more: string[]): { id: string; key: string } {
  const words = ['keys', 'issue', '--account', 'main', '--subject', 'robot', '--json', ...more];
  return JSON.parse(gateway.command(...words).stdout) as { id: string; key: string };
}

await test('a limit holds for all routes that name it, over both protocols, and says so in every answer', async (t) => {
  const client = newClient();
  const first = await client.get('/few');
  t.match(first.header('ratelimit'), /^"anonymous";r=4;t=3600$/);
  t.equal(first.header('ratelimit-policy'), '"anonymous";q=5;w=3600');
  for (const path of ['/also-few', '/few', '/also-few', '/few'])
    t.equal((await client.get(path)).status, 200);
  const { requests } = upstream;
  const before = requests.length;
  const over = await newClient().get('/few', { headers: { accept: 'application/json' } });
  t.equal(over.status, 429);
  t.match(over.header('ratelimit'), /^"anonymous";r=0;t=\d+$/);
  t.match(over.header('retry-after'), /^\d{2,4}$/);
  t.match(JSON.parse(over.text), { code: 'rate_limited', status: 429 });
  const h2 = new Http2Client(targetOf(gateway));
  t.equal((await h2.send('GET', '/few')).status, 429);
  h2.close();
  t.equal(requests.length, before, 'the application saw none of it');
  const metrics = await (await fetch(`${gateway.listeners.ops}/metrics`)).text();
  t.match(metrics, /zasov_rate_limited_total\{limit="anonymous"\} 2/);
});

await test('a key has seven requests a second where no limit is named, and its own rate if it has one', async (t) => {
  const client = newClient();
  const plain = issueKey();
  const ask = async (key: string, path = '/api/x') =>
    await client.get(path, { headers: { 'x-api-key': key } });
  const first = await ask(plain.key);
  t.equal(first.status, 200);
  t.equal(first.header('ratelimit-policy'), '"api_key";q=7;w=1');
  const others = await Promise.all(Array.from({ length: 29 }, () => ask(plain.key)));
  const passed = 1 + others.filter(({ status }) => status === 200).length;
  // The 30 may fall into a few windows on a busy machine.
  t.ok(passed < 30 && passed >= 7, `${passed} of 30`);
  const own = issueKey('--requests', '3/1h');
  const statuses: number[] = [];
  for (let request = 0; request < 5; request += 1) statuses.push((await ask(own.key)).status);
  t.same(statuses, [200, 200, 200, 429, 429]);
  t.equal((await ask(issueKey().key)).status, 200, 'another key is counted for itself');
});

await test('where several are counted the first that is full decides', async (t) => {
  const client = newClient();
  const [one, two] = [issueKey(), issueKey()];
  const ask = async ({ key }: { key: string }) =>
    (await client.get('/wide/x', { headers: { 'x-api-key': key } })).status;
  for (let request = 0; request < 10; request += 1) {
    t.equal(await ask(one), 200);
    t.equal(await ask(two), 200);
  }
  t.equal(await ask(two), 429, 'the account had its twenty');
});
