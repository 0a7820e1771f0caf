/** A password changes at the very moment in which the store is away, and then the gateway is killed. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import tap, { test } from 'tap';

import { startAccountCrm } from '../support/account-crm.ts';
import { HttpsClient } from '../support/https-client.ts';
import { startRedis, until } from '../support/redis-servers.ts';
import { startGateway } from '../support/start-gateway.ts';

const crm = await startAccountCrm();
const redis = await startRedis();
tap.teardown(async () => {
  process.kill(redis.pid, 'SIGCONT');
  await redis.kill();
  await crm.close();
});

const POLICY = `
accounts: { single: main }
store: { kind: redis, url: "${redis.url}" }
tls: { certificates: [{ hosts: [localhost], self_signed: true }] }
regions: [{ id: home, nodes: ["${crm.origin}"], health: { timeout: 30s } }]
routes:
  - { name: api, match: { path: "/api/**" }, access: api_key }
  - { name: open, match: { path: "/**" }, access: public }
sessions:
  credential_change:
    - { match: { method: POST, path: /password }, success: { status: 200 }, subject: query.login }
api_keys: {}
`;

await test('a change of credentials outlives a store that is away and a gateway that is killed', async (t) => {
  const first = await startGateway(POLICY);
  const issued = first.command('keys', 'issue', '--account', 'main', '--subject', 'olga', '--json');
  const { key } = JSON.parse(issued.stdout) as { key: string };
  const client = new HttpsClient({ host: 'localhost', port: first.port, ca: first.ca });
  t.equal((await client.get('/api/x', { headers: { 'x-api-key': key } })).status, 200);
  process.kill(redis.pid, 'SIGSTOP');
  const answer = await client.send('POST', '/password?login=olga');
  t.equal(answer.status, 503, 'nobody hears of a change that is not done');
  t.equal(readdirSync(join(first.data, 'pending')).length, 1);
  client.close();
  await first.program.kill();
  process.kill(redis.pid, 'SIGCONT');
  const second = await startGateway(POLICY, first.data);
  t.teardown(() => second.program.stop());
  await until(() => Promise.resolve(readdirSync(join(first.data, 'pending')).length === 0));
  const again = new HttpsClient({ host: 'localhost', port: second.port, ca: second.ca });
  t.teardown(() => again.close());
  const refused = await again.get('/api/x', { headers: { 'x-api-key': key } });
  t.match(JSON.parse(refused.text), { status: 401, code: 'key_rotated' });
});
