/** The demo's API keys: the CRM sees its own, the client never does. */
import tap, { test } from 'tap';
import { HttpsClient } from '../support/https-client.ts';
import { startDemo } from '../support/start-gateway.ts';

const demo = await startDemo();
const logins = demo.ready['logins'] as { account: string; login: string; api_key: string }[];
const client = new HttpsClient({ host: 'acme.crm.localhost', port: demo.port, ca: demo.ca });
const other = new HttpsClient({ host: 'neva.crm.localhost', port: demo.port, ca: demo.ca });
tap.teardown(async () => {
  client.close();
  other.close();
  await demo.program.stop();
});

await test('everybody of the demo has a key that opens the CRM’s API in their account and in no other', async (t) => {
  t.equal(logins.length, 9);
  const anna = logins.find(({ account, login }) => account === 'acme' && login === 'anna');
  const headers = { 'x-api-key': anna?.api_key ?? '' };
  const answer = await client.get('/api/v4/leads?limit=1', { headers });
  t.equal(answer.status, 200);
  t.ok((JSON.parse(answer.text) as { total: number }).total > 0);
  t.notMatch(
    JSON.stringify(answer.setCookies) + answer.text,
    /crm_[0-9a-f]{40}/,
    'the CRM’s own key stays in the house',
  );
  const elsewhere = await other.get('/api/v4/leads', { headers });
  t.equal(elsewhere.status, 403);
  t.match(JSON.parse(elsewhere.text), { code: 'account_mismatch' });
  const forged = await client.get('/api/v4/leads', { headers: { 'x-crm-key': 'crm_0' } });
  t.match(JSON.parse(forged.text), { code: 'key_missing' });
});

await test('a change of password in the CRM ends the key before it is answered', async (t) => {
  const boris = logins.find(({ account, login }) => account === 'acme' && login === 'boris');
  const headers = { 'x-api-key': boris?.api_key ?? '' };
  t.equal((await client.get('/api/v4/contacts?limit=1', { headers })).status, 200);
  t.equal(demo.command('keys', 'list', '--account', 'acme', '--subject', 'boris', '--json').code, 0);
  const page = await client.get('/login');
  const token = /name="csrf" value="([^"]+)"/.exec(page.text)?.[1] ?? '';
  const form = { csrf: token, username: 'boris', password: 'boris-demo-1' };
  t.match((await client.post('/login', form)).status, 302);
  const profile = await client.get('/profile');
  const change = /name="csrf" value="([^"]+)"/.exec(profile.text)?.[1] ?? '';
  const next = 'boris-demo-new-1';
  const passwords = { csrf: change, old_password: 'boris-demo-1', new_password: next, repeat_password: next };
  const changed = await client.post('/profile/password', passwords);
  t.ok(changed.status === 302 || changed.status === 303, `${changed.status} ${changed.text.slice(0, 300)}`);
  const refused = await client.get('/api/v4/contacts?limit=1', { headers });
  t.match(JSON.parse(refused.text), { code: 'key_rotated' });
});
