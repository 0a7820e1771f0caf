/** Two worker processes that know nothing of each other's answers: everybody sees what they wrote all the same. */
import { setTimeout as pause } from 'node:timers/promises';
import tap, { test } from 'tap';
import { HttpsClient } from '../support/https-client.ts';
import { startGateway } from '../support/start-gateway.ts';
import { MixedLoad } from './mixed-load.ts';
import { ReplicatedCluster } from './replicated-cluster.ts';

tap.setTimeout(120_000);
const cluster = await ReplicatedCluster.start();
const health = '{ every: 200ms, timeout: 1s }';
const gateway = await startGateway(`
workers: 2
accounts: { single: main }
tls: { certificates: [{ hosts: [localhost], self_signed: true }] }
regions:
${cluster.nodes.map(({ region, url }) => `  - { id: ${region}, nodes: ["${url}"], health: ${health} }`).join('\n')}
routing: { home: { default: nsk }, failover: [nsk, spb, msk], max_lag: 1s }
routes:
  - { name: login, match: { path: /login }, access: public }
  - { name: api, match: { path: "/item/api*" }, access: api_key, limit: api }
  - { name: app, match: { path: "/**" }, access: session }
limits: { api: { per: api_key, requests: 100000/1s } }
api_keys: { in: ["header:X-Api-Key"] }
sessions: {}
`);
tap.teardown(async () => {
  await gateway.program.stop();
  await cluster.stop();
});
const target = { host: 'localhost', port: gateway.port, ca: gateway.ca };

await test('no browser reads what it overwrote, whichever process answers', async (t) => {
  const load = new MixedLoad(target, 20, 4);
  await load.start(16);
  await pause(6000);
  await load.stop();
  t.same([load.stale, load.failures], [[], []]);
  t.ok(load.acknowledged.size > 30 && load.reads > 300);
  t.comment(`${load.acknowledged.size} changes, ${load.reads} reads, none stale`);
});

await test('no program reads what it overwrote', async (t) => {
  const issued = gateway.command('keys', 'issue', '--account', 'main', '--subject', 'robot', '--json');
  const { key } = JSON.parse(issued.stdout) as { key: string };
  const clients = Array.from({ length: 6 }, () => new HttpsClient(target));
  const headers = { 'x-api-key': key };
  const stale: string[] = [];
  let turn = 0;
  const next = () => clients[turn++ % clients.length] ?? new HttpsClient(target);
  for (let count = 1; count <= 40; count++) {
    const id = { 'x-write-id': `robot-${count}` };
    const put = await next().send('PUT', '/item/api', {
      body: String(count),
      headers: { ...headers, ...id },
    });
    if (put.status !== 200) throw new Error(`${put.status} ${put.text}`);
    for (let i = 0; i < 4; i++) {
      const { value } = JSON.parse((await next().get('/item/api', { headers })).text) as { value: string };
      if (Number(value) < count) stale.push(`${value} after ${count}`);
    }
  }
  t.same(stale, []);
  for (const client of clients) client.close();
});

await test('who has written nothing for a while is served at home again', async (t) => {
  const client = new HttpsClient(target);
  const signedIn = await client.send('POST', '/login', { body: 'reader' });
  const seconds = Number(/zasov-wrote=[^;]+;.*Max-Age=(\d+)/.exec(signedIn.setCookies.join('\n'))?.[1]);
  const regionOf = async () => (JSON.parse((await client.get('/item/x')).text) as { region: string }).region;
  t.equal(await regionOf(), 'msk');
  t.ok(seconds >= 5 && seconds <= 20, `for ${seconds} s`);
  await pause(seconds * 1000 + 500);
  // Browsers forget it by themselves then.
  client.jar.store(['__Host-Http-zasov-wrote=; Max-Age=0']);
  t.equal(await regionOf(), 'nsk');
  client.close();
});
