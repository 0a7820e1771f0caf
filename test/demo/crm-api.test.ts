import tap from 'tap';
import { startCrmNode } from '../../gateway/demo/crm/crm-node.ts';
import { CrmVisitor } from './crm-visitor.ts';

const node = await startCrmNode({ region: 'msk', port: 0, peers: [], secret: 'test' });
tap.teardown(() => node.close());
const client = new CrmVisitor(node.url);

async function call(
  method: string,
  path: string,
  key: string,
  document?: unknown,
): Promise<{ status: number; json: Record<string, unknown>; location?: string }> {
  const body = document === undefined ? undefined : JSON.stringify(document);
  const { status, text, headers } = await client.send(method, path, { 'x-crm-key': key }, body);
  const json = text === '' ? {} : (JSON.parse(text) as Record<string, unknown>);
  return { status, json, ...(headers.location === undefined ? {} : { location: headers.location }) };
}

const door = await call('POST', '/api/v4/login', '', { login: 'boris', password: 'boris-demo-1' });
const key = String(door.json['api_key']);

await tap.test('the second door gives the permanent key that the profile page shows', async (t) => {
  t.equal(door.status, 200);
  const boris = new CrmVisitor(node.url);
  await boris.signIn('boris');
  t.match((await boris.get('/profile')).text, key);
  const wrong = await call('POST', '/api/v4/login', '', { login: 'boris', password: 'no' });
  t.equal(wrong.status, 401);
  t.equal((await call('POST', '/api/v4/login', '', { login: ['boris'], password: {} })).status, 401);
});

await tap.test('without a key of this account there is nothing but 401', async (t) => {
  const neva = new CrmVisitor(node.url, 'neva');
  for (const path of ['/api/v4/leads', '/api/v4/leads/101', '/api/v4/contacts']) {
    t.equal((await call('GET', path, '')).status, 401);
    t.equal((await call('GET', path, `${key}0`)).status, 401);
    t.equal((await neva.get(path, { 'x-crm-key': key })).status, 401, 'the key of another account');
  }
  t.equal((await call('DELETE', '/api/v4/leads/101', 'crm_wrong')).status, 401);
  const boris = new CrmVisitor(node.url);
  await boris.signIn('boris');
  t.equal((await boris.get('/api/v4/leads')).status, 401, 'a session is no key');
});

await tap.test('lists come in pages, whatever is asked for', async (t) => {
  const { json } = await call('GET', '/api/v4/leads?limit=7&offset=35', key);
  t.match(json, { total: 40, limit: 7, offset: 35 });
  t.equal((json['items'] as unknown[]).length, 5);
  t.match((await call('GET', '/api/v4/contacts?limit=9999', key)).json, { total: 60, limit: 250 });
  t.match((await call('GET', '/api/v4/contacts?limit=-1&offset=x', key)).json, { limit: 50, offset: 0 });
});

await tap.test('a record is created, read, changed and deleted', async (t) => {
  const created = await call('POST', '/api/v4/leads', key, { title: 'From the API', amount: 500 });
  t.equal(created.status, 201);
  t.match(created.json, { title: 'From the API', amount: 500, stage: 'new', updated_by: 'boris' });
  const path = String(created.location);
  t.equal(path, `/api/v4/leads/${String(created.json['id'])}`);
  const changed = await call('PATCH', path, key, { stage: 'won' });
  t.match(changed, { status: 200, json: { title: 'From the API', amount: 500, stage: 'won' } });
  t.match((await call('GET', path, key)).json, { stage: 'won' });
  t.equal((await call('DELETE', path, key)).status, 204);
  for (const method of ['GET', 'DELETE']) t.equal((await call(method, path, key)).status, 404);
  t.equal((await call('PATCH', path, key, {})).status, 404);
});

await tap.test('what is no valid record is refused by name', async (t) => {
  const refused = await call('POST', '/api/v4/contacts', key, { name: '', email: 'x', phone: { no: 1 } });
  t.equal(refused.status, 422);
  t.strictSame(refused.json['fields'], ['name', 'phone', 'email']);
  for (const body of ['', '[]', '{', 'null']) {
    const answer = await client.send('POST', '/api/v4/leads', { 'x-crm-key': key }, body);
    t.equal(answer.status, 400, body);
    t.match(answer.headers['content-type'], 'application/json');
  }
  const large = await client.send('POST', '/api/v4/leads', { 'x-crm-key': key }, `"${'x'.repeat(300_000)}"`);
  t.equal(large.status, 413);
});
