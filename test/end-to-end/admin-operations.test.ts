/** What administrators do over their listener: console, API, both signatures, reloads, several workers. */
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { generateX25519Identity, identityToRecipient } from 'age-encryption';
import tap, { test } from 'tap';
import { type Credentials, metricOf, startAdminGateway } from '../support/admin-gateway.ts';
import { makeAdministrator } from '../support/administrator.ts';
import { Http2Client, HttpsClient } from '../support/https-client.ts';
import { temporaryDirectory } from '../support/start-gateway.ts';
import { eventually } from '../support/wire.ts';
import { ADMIN_HOST, startAdminCrm } from './admin-crm.ts';

const recipient = await identityToRecipient(await generateX25519Identity());
const crm = await startAdminCrm(`
admin_access: { servers: ["msk-db:22"] }
workers: 2
backup: { every: 24h, to: { dir: "${temporaryDirectory()}" }, recipients: ["${recipient}"] }
`);
const { gateway, annas, borises, client } = crm;
tap.teardown(() => crm.stop());
const directory = tap.testdir({});

/** Runs `zasov admins` as a person would, anywhere. */
async function admins(credentials: Credentials, name: string, ...words: string[]): Promise<string> {
  const file = (ending: string) => join(directory, `${name}.${ending}`);
  writeFileSync(file('pem'), credentials.cert);
  writeFileSync(file('key'), credentials.key, { mode: 0o600 });
  const person = ['--cert', file('pem'), '--key', file('key'), '--url', `https://localhost:${crm.adminPort}`];
  const command = ['gateway/zasov.mjs', 'admins', ...words, ...person, '--data', gateway.data];
  return (await promisify(execFile)(process.execPath, command)).stdout;
}

await test('the console says who one is, who else may come in, and how things are, under any host', async (t) => {
  for (const host of ['localhost', ADMIN_HOST]) {
    const person = new HttpsClient(crm.target(annas, host));
    const page = await person.get('/.zasov/console');
    t.equal(page.status, 200);
    t.match(
      page.header('content-security-policy'),
      /^default-src 'none'; style-src 'sha256-[^']+'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'$/,
    );
    t.equal(page.header('cache-control'), 'no-store');
    for (const text of [
      'Anna',
      'Boris',
      crm.boris.fingerprint,
      'msk-db:22',
      '/admin',
      'Your certificate ends in',
    ])
      t.match(page.text, text, text);
    t.notMatch(page.text, /<script|javascript:| on\w+=/);
    const russian = await person.get('/.zasov/console', { headers: { 'accept-language': 'ru,en;q=0.5' } });
    t.match(russian.text, /<html lang="ru">[\s\S]*Администраторы/);
    t.equal((await person.post('/.zasov/console', {})).status, 405);
    person.close();
  }
});

await test('the console shows the last backup, whichever worker answers', async (t) => {
  const made = gateway.command('backup', 'now');
  t.equal(made.code, 0, made.stderr);
  const archive = /zasov-\S+?\.age/.exec(made.stdout)?.[0] ?? 'no archive was named';
  for (let visit = 0; visit < 6; visit++) {
    const page = await new HttpsClient(crm.target(annas)).get('/.zasov/console');
    t.match(page.text, archive);
    t.match(page.text, '<span class="mark">last whole copy</span>');
  }
});

await test('whoever opens the bare listener comes to the console', async (t) => {
  const person = client(annas);
  const page = await person.get('/', { headers: { accept: 'text/html' } });
  t.match([page.status, page.header('location')], [302, '/.zasov/console']);
  t.equal((await person.get('/')).status, 404);
  person.close();
});

await test('paths of people are not there, and nothing of the listener is elsewhere', async (t) => {
  const person = client(annas);
  for (const path of ['/.zasov/account', '/.zasov/keys/rotate', '/.zasov/x', '/.zasov/admin/x'])
    t.equal((await person.get(path)).status, 404, path);
  person.close();
  const stranger = crm.person();
  for (const path of ['/.zasov/console', '/.zasov/admin/approvals', '/.zasov/admin/revocations'])
    for (const method of ['GET', 'POST']) t.equal((await stranger.send(method, path)).status, 404, path);
  stranger.close();
});

await test('the API takes JSON of one of the two and of no other site', async (t) => {
  const person = client(annas);
  const view = await person.get('/.zasov/admin/approvals');
  t.match(JSON.parse(view.text), { administrators: [{ name: 'Anna' }, { name: 'Boris' }], proposals: [] });
  const json = { 'content-type': 'application/json' };
  const revoke = (headers: Record<string, string>, body = '{"name":"Boris"}') =>
    person.send('POST', '/.zasov/admin/revocations', { headers, body });
  t.equal((await revoke({ ...json, 'sec-fetch-site': 'cross-site' })).status, 403);
  t.equal((await revoke({ ...json, origin: 'https://evil.example' })).status, 403);
  t.equal((await revoke({ 'content-type': 'text/plain' })).status, 400);
  t.equal((await revoke(json, '{"name"')).status, 400);
  t.equal((await revoke(json, `{"name":"${'x'.repeat(300_000)}"}`)).status, 413);
  t.equal((await person.send('DELETE', '/.zasov/admin/approvals')).status, 405);
  const boris = client(borises);
  t.equal((await boris.get('/admin')).status, 200, 'nothing of it was done');
  boris.close();
  person.close();
});

await test('all workers share the listener, and each holds the session that another began', async (t) => {
  const person = client(annas);
  await person.get('/admin');
  await person.post('/login', { user: 'anna' });
  for (let round = 0; round < 8; round += 1) {
    // A new connection each time: the system gives it to one of the workers.
    const again = new HttpsClient(crm.target(annas, ADMIN_HOST), person.jar);
    t.equal((await again.get('/admin')).status, 200);
    t.same(crm.lastRequest().values('cookie'), ['SID=in']);
    again.close();
  }
  person.close();
});

await test('both sign, each on their own machine, and the third person is in where the second was', async (t) => {
  const carl = makeAdministrator('Carl');
  const carls = await crm.certify(carl);
  const other = ['--replace', 'Boris', '--with', `Carl=sha256:${carl.fingerprint}`, '--yes', '--json'];
  const proposed = JSON.parse(await admins(annas, 'Anna', 'propose', 'replace_administrators', ...other)) as {
    id: string;
  };
  const waiting = client(borises);
  const page = await waiting.get('/.zasov/console');
  t.match(page.text, proposed.id);
  t.match(page.text, 'Carl');
  await t.rejects(admins(annas, 'Anna', 'approve', proposed.id, '--yes'), /own|second signature/);
  const before = client(carls);
  t.equal((await before.get('/admin')).status, 403);
  before.close();
  await admins(borises, 'Boris', 'approve', proposed.id, '--yes');
  await eventually(async () => {
    const third = new Http2Client(crm.target(carls, ADMIN_HOST));
    const { status } = await third.send('GET', '/admin').catch(() => ({ status: 0 }));
    third.close();
    return status === 200;
  }, 10_000);
  await eventually(
    () =>
      waiting.get('/admin').then(
        ({ status }) => status === 403,
        () => true,
      ),
    5000,
    () => 'the end of who was replaced',
  );
  waiting.close();
  // A new connection may meet the other worker, which hears of it within a second, too.
  await eventually(
    async () => {
      const late = client(borises);
      const { status, text } = await late.get('/admin');
      late.close();
      return status === 403 && text.includes('"code":"certificate_refused"');
    },
    2000,
    () => 'the refusal of who was replaced',
  );
});

await test('networks of the policy hold for connections that stand, from the reload on', async (t) => {
  const small = await startAdminGateway(`
regions: [{ id: a, nodes: ["http://127.0.0.1:9"], health: { every: 10m } }]
routes: [{ name: all, match: { path: "/**" }, access: admin }]
sessions: {}
`);
  t.teardown(() => small.gateway.program.stop());
  const credentials = await small.certify(small.anna);
  const person = new Http2Client(small.target(credentials));
  t.equal((await person.send('GET', '/.zasov/console')).status, 200);
  const file = join(small.gateway.data, 'test-policies.yaml');
  writeFileSync(file, `${readFileSync(file, 'utf8')}admin_access: { networks: [10.0.0.0/8] }\n`);
  await promisify(execFile)(process.execPath, ['gateway/zasov.mjs', 'reload', '--data', small.gateway.data]);
  await eventually(
    () =>
      person.send('GET', '/.zasov/console').then(
        ({ status }) => status !== 200,
        () => true,
      ),
    5000,
    () => 'the cut',
  );
  const again = new HttpsClient(small.target(credentials));
  t.match(JSON.parse((await again.get('/.zasov/console')).text), { code: 'certificate_refused' });
  t.ok((await metricOf(small.gateway, 'zasov_admin_denied_total', 'reason="network"')) >= 2);
  again.close();
  person.close();
});
