/** What people, thieves, programs and operators do stands in the audit trail: once, in order, and without a secret. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import tap, { test } from 'tap';

import type { AuditRecord } from '../../gateway/audit/audit-record.ts';
import { startProgram } from '../support/child-program.ts';
import { CookieJar } from '../support/cookie-jar.ts';
import { CRM_PASSWORD, smallCrmPolicy, startSmallCrm } from '../support/small-crm.ts';
import { type RunningGateway, startGateway } from '../support/start-gateway.ts';
import { clientOf, signIn, whoAmI } from './small-crm-client.ts';
import { recorded, recordsOf } from './trail-records.ts';
import { until } from './worker-node.ts';

const OLGA = 'olga-petrovna-of-sales';
const crm = await startSmallCrm();
const policy = `${smallCrmPolicy(crm.origin, '  rotate_every: 300ms\n  grace: 100ms\n').replace(
  'routes:\n',
  'routes:\n  - { name: panel, match: { path: "/admin/**" }, access: admin }\n',
)}api_keys: { in: ["header:X-Api-Key"], imported: accept }\n`;
const gateway = await startGateway(policy);
tap.teardown(async () => {
  await gateway.program.stop();
  await crm.close();
});

function verify(on: RunningGateway): { code: number | null; stdout: string } {
  return on.command('audit', 'verify');
}

const secrets: string[] = [OLGA, CRM_PASSWORD];

await test('signing in and out, and a thief, stand in the trail', async (t) => {
  const client = clientOf(gateway);
  await signIn(client, OLGA);
  const [signedIn] = await recorded(gateway, 'session.signed_in');
  t.match(signedIn?.facts, {
    account: 'main',
    from: 'anonymous',
    person: /^[\w-]{22}$/,
    session: /^[\w-]{22}$/,
  });
  await client.get('/logout');
  const [signedOut] = await recorded(gateway, 'session.signed_out');
  t.equal(signedOut?.facts['session'], signedIn?.facts['session']);
  t.equal(signedOut?.facts['person'], signedIn?.facts['person'], 'one person is one hash');

  const owner = clientOf(gateway);
  await signIn(owner, OLGA);
  const stolen = CookieJar.copyOf(owner.jar);
  for (let round = 0; round < 8; round += 1) {
    await pause(150);
    await whoAmI(owner);
  }
  const thief = clientOf(gateway, stolen);
  t.equal(await whoAmI(thief), undefined);
  const [theft] = await recorded(gateway, 'session.theft');
  t.match(theft?.facts, { kind: 'reuse', person: signedIn?.facts['person'] });
  secrets.push(
    ...[...owner.jar.header().split('; '), ...stolen.header().split('; ')].map((each) => each.slice(-30)),
  );
  for (const each of [client, owner, thief]) each.close();
});

await test('the life of a key stands in the trail, what is asked before it is done', async (t) => {
  const words = ['--account', 'main', '--subject', OLGA, '--json'];
  const issued = JSON.parse(gateway.command('keys', 'issue', ...words).stdout) as { id: string; key: string };
  const rotated = JSON.parse(gateway.command('keys', 'rotate', issued.id, '--json').stdout) as typeof issued;
  t.equal(gateway.command('keys', 'revoke', rotated.id).code, 0);
  const file = join(gateway.data, 'keys.txt');
  writeFileSync(file, `main,${OLGA},an-old-key-of-the-former-gateway\n`);
  secrets.push(issued.key, rotated.key, 'an-old-key-of-the-former-gateway');
  const imported = gateway.command('keys', 'import', file);
  await recorded(gateway, 'key.revoke.done');
  const events = recordsOf(gateway)
    .map(({ event }) => event)
    .filter((event) => event.startsWith('key.') && !event.startsWith('key.import'));
  t.strictSame(events, [
    'key.issue',
    'key.issue.done',
    'key.rotate',
    'key.rotated',
    'key.rotate.done',
    'key.revoke',
    'key.revoke.done',
  ]);
  const [asked] = await recorded(gateway, 'key.issue');
  const [done] = await recorded(gateway, 'key.issue.done');
  t.equal(asked?.facts['operation'], done?.facts['operation']);
  t.equal(done?.facts['key'], issued.id);
  if (imported.code === 0) await recorded(gateway, 'key.import.done');
  else t.comment(imported.stderr);
});

await test('a change of credentials is one record for all that it ended', async (t) => {
  const clients = [clientOf(gateway), clientOf(gateway), clientOf(gateway)];
  for (const client of clients) await signIn(client, 'galina');
  gateway.command('keys', 'issue', '--account', 'main', '--subject', 'galina', '--json');
  await clients[0]?.post('/password', { new_password: 'a-new-secret-of-galina' });
  secrets.push('a-new-secret-of-galina', 'galina');
  const changes = await recorded(gateway, 'credentials.changed');
  t.equal(changes.length, 1);
  t.match(changes[0]?.facts, { sessions_ended: 3, keys_rotated: 1 });
  const own = recordsOf(gateway).filter(({ facts }) => facts['reason'] === 'credentials');
  t.strictSame(own, [], 'and none for each of them');
  for (const client of clients) client.close();
});

await test('what an operator ends, refusals of administrators’ routes and reloads stand in the trail', async (t) => {
  const client = clientOf(gateway);
  await signIn(client, 'vera-of-accounts');
  secrets.push('vera-of-accounts');
  gateway.command('sessions', 'revoke', '--account', 'main', '--subject', 'vera-of-accounts');
  t.match((await recorded(gateway, 'operator.sessions_revoked'))[0]?.facts, { sessions: 1 });
  t.match((await recorded(gateway, 'session.ended')).at(-1)?.facts, { reason: 'revoked' });

  for (let tries = 0; tries < 30; tries += 1) await client.get('/admin/users');
  const refused = await recorded(gateway, 'admin.refused');
  t.equal(refused.length, 1, 'a stranger who tries again and again is one record a minute');
  t.match(refused[0]?.facts, { reason: 'public_listener', route: 'panel', client: '127.0.0.1' });
  client.close();

  const file = join(gateway.data, 'test-policies.yaml');
  const before = readFileSync(file, 'utf8');
  writeFileSync(
    file,
    before.replace('rotate_every: 300ms', 'rotate_every: 400ms').replace('name: app', 'name: application'),
  );
  const [reload] = await recorded(gateway, 'policy.reloaded');
  t.strictSame(reload?.facts['changed'], [
    'routes.app',
    'routes.application',
    'routes.order',
    'sessions.rotate_every',
  ]);
  t.match(reload?.facts, { policy: /^[0-9a-f]{64}$/, before: /^[0-9a-f]{64}$/ });
  writeFileSync(file, `${before}\nnonsense: true\n`);
  await recorded(gateway, 'policy.refused');
  writeFileSync(file, before);
  await recorded(gateway, 'policy.reloaded', 2);
});

await test('the trail of a running gateway verifies, and tail shows it', async (t) => {
  t.match(verify(gateway), { code: 0, stdout: /good, every record is in its place/ });
  const { stdout } = gateway.command('audit', 'tail', '--lines', '5');
  t.equal(stdout.trim().split('\n').length, 6, 'five records and their heading');
  const ofOlga = gateway.command(
    'audit',
    'tail',
    '--lines',
    '100',
    '--subject',
    `main/${OLGA.toUpperCase()}`,
    '--json',
  );
  const found = ofOlga.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as AuditRecord);
  t.ok(found.length >= 6, `${found.length} records of her`);
  t.equal(new Set(found.map(({ facts }) => facts['person'])).size, 1);
  const nobody = gateway.command('audit', 'tail', '--lines', '100', '--subject', 'main/nobody', '--json');
  t.equal(nobody.stdout, '');
});

await test('tail follows what is written', async (t) => {
  const words = [
    'gateway/zasov.mjs',
    'audit',
    'tail',
    '--follow',
    '--lines',
    '0',
    '--json',
    '--data',
    gateway.data,
  ];
  const tail = startProgram(process.execPath, words);
  t.teardown(() => tail.kill());
  // It may take its time to start; what is written before that is not news.
  await until('a record that tail shows', async () => {
    const client = clientOf(gateway);
    await signIn(client, 'zoya');
    client.close();
    return /session\.signed_in/.test(tail.output.stdout);
  });
  const line = await tail.line(/session\.signed_in/, 1000);
  t.match(JSON.parse(line), { event: 'session.signed_in', facts: { account: 'main' } });
});

await test('a stop is signed, and the whole verifies with the public key alone', async (t) => {
  t.equal(await gateway.program.stop(), 0);
  const records = recordsOf(gateway);
  t.ok(records.some(({ event }) => event === 'gateway.stopping'));
  t.equal(records.at(-1)?.event, 'trail.closed');
  t.strictSame(
    records.slice(0, 2).map(({ event }) => event),
    ['trail.opened', 'gateway.started'],
  );
  t.match(verify(gateway), { code: 0 });
  const pinned = join(t.testdir(), 'audit.pem');
  writeFileSync(pinned, gateway.command('audit', 'key').stdout);
  t.match(gateway.command('audit', 'verify', '--public-key', pinned, '--json'), {
    code: 0,
    stdout: /"ok":true/,
  });
  const log = join(t.testdir(), 'gateway.log');
  writeFileSync(log, gateway.program.output.stderr);
  t.match(gateway.command('audit', 'verify', '--anchor', log), { code: 0 });
});

await test('no secret and no name of a person of the CRM stands in the trail', (t) => {
  const text = JSON.stringify(recordsOf(gateway));
  const told = secrets.filter((secret) => secret.length > 5);
  t.ok(told.length > 7, `${told.length} secrets`);
  for (const secret of told) t.notOk(text.includes(secret), secret);
  t.end();
});

await test('an edit is named with its place, and the exit code says so', async (t) => {
  const directory = join(gateway.data, 'audit');
  const [name = ''] = readdirSync(directory).filter((each) => each.endsWith('.jsonl'));
  const text = readFileSync(join(directory, name), 'utf8');
  const lines = text.split('\n');
  const at = lines.findIndex((line) => line.includes('session.theft'));
  writeFileSync(join(directory, name), lines.toSpliced(at, 1).join('\n'));
  const { code, stdout } = verify(gateway);
  t.equal(code, 1);
  t.match(stdout, `${name}:${at + 1}: record ${at + 1}: removed: missing before this line`);
  writeFileSync(join(directory, name), text);
  t.match(verify(gateway), { code: 0 });
});
