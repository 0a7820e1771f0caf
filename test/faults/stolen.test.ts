/**
 * What a thief finds on a stolen disk, and in a stolen copy of the store: nothing that signs anybody in, opens anything
 * or names a customer. The master key is not among the loot; where it lies is the operator's choice.
 */
import { randomBytes } from 'node:crypto';
import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import tap, { test } from 'tap';

import { createMasterKey } from '../../gateway/crypto/keyring.ts';
import { sendSignal, signedSignal } from '../support/facility.ts';
import type { HttpsClient } from '../support/https-client.ts';
import { findNeedles, type Needle, searchDirectory } from '../support/needle-search.ts';
import { type RedisServer, startRedis } from '../support/redis-servers.ts';
import {
  CRM_PASSWORD,
  type SmallCrm,
  smallCrmPolicy,
  startSmallCrm,
  withKeyRoute,
} from '../support/small-crm.ts';
import { type RunningGateway, startGateway, temporaryDirectory } from '../support/start-gateway.ts';
import { clientOf, signIn, whoAmI } from '../end-to-end/small-crm-client.ts';

const ACCOUNT = 'romashka-holding';
const PEOPLE = ['valentina.customer', 'grigory.customer', 'svetlana.customer'];
const SECRET = `whsec_${randomBytes(24).toString('base64')}`;
/** Marks of private keys, however they are written. */
const MARKS = ['PRIVATE KEY', 'AGE-SECRET-KEY'];

function policyOf(crm: SmallCrm, store: string): string {
  const folder = temporaryDirectory();
  const [key, signal] = [join(folder, 'zasov.key'), join(folder, 'home.facility')];
  writeFileSync(key, createMasterKey(), { mode: 0o600 });
  writeFileSync(signal, SECRET, { mode: 0o600 });
  const base = smallCrmPolicy(crm.origin, '  rotate_every: 1s\n  grace: 200ms\n')
    .replace('single: main', `single: ${ACCOUNT}`)
    .replace('role: primary', `role: primary, facility: { secret: "file:${signal}" }`);
  return `${store}secrets: { master_key: "file:${key}" }\n${withKeyRoute(base)}`;
}

tap.setTimeout(120_000);

/** Uses a gateway as people, programs, operators and buildings do. @returns everything that must not be found. */
async function useEverything(
  gateway: RunningGateway,
  crm: SmallCrm,
): Promise<{ needles: Needle[]; key: string; client: HttpsClient }> {
  const needles: Needle[] = [
    { what: 'the account', text: ACCOUNT },
    { what: 'a password', text: CRM_PASSWORD },
  ];
  const note = (what: string, text: string) => needles.push({ what, text });
  const clients: HttpsClient[] = [];
  for (const person of PEOPLE) {
    note('the name of a person', person);
    const client = clientOf(gateway);
    clients.push(client);
    await signIn(client, person);
    for (let visit = 0; visit < 4; visit += 1) {
      await whoAmI(client);
      for (const part of client.jar.header().split('; ')) note('a cookie', part.slice(part.indexOf('=') + 1));
      await new Promise((resolve) => setTimeout(resolve, 350));
    }
  }
  const words = [
    '--account',
    ACCOUNT,
    '--subject',
    PEOPLE[0] ?? '',
    '--label',
    'a label that nobody shall read',
    '--json',
  ];
  const issued = JSON.parse(gateway.command('keys', 'issue', ...words).stdout) as { id: string; key: string };
  note('an API key', issued.key);
  note('the label of a key', 'a label that nobody shall read');
  const [client = clientOf(gateway)] = clients;
  const calls = await client.get('/api/me', { headers: { 'x-api-key': issued.key } });
  if (calls.status !== 200) throw new Error(`the key got ${calls.status}`);
  const rotated = JSON.parse(gateway.command('keys', 'rotate', issued.id, '--json').stdout) as {
    key: string;
  };
  note('an API key', rotated.key);
  for (const sid of crm.sessionIds) note('a cookie of the CRM', sid);
  await clients[1]?.get('/logout');
  await clients[2]?.post('/password', { new_password: 'a-password-of-tomorrow' });
  note('a new password', 'a-password-of-tomorrow');
  note('the key of the building', SECRET.slice('whsec_'.length));
  await sendSignal(signedSignal(gateway.listeners.ops, 'home', SECRET, 'on-battery'));
  for (const mark of MARKS) note('a private key', mark);
  for (const other of clients.slice(1)) other.close();
  return { needles, key: rotated.key, client };
}

/** Whether a gateway starts on a directory, for a moment. */
async function startsOn(policy: string, data: string): Promise<string> {
  return await startGateway(policy, data).then(
    async ({ program }) => {
      await program.stop();
      return 'it started';
    },
    (error: unknown) =>
      String(error).includes('used with another master key') ? 'it was refused' : String(error),
  );
}

await test('a stolen disk without the master key holds nothing that authenticates, decrypts or names a customer', async (t) => {
  const crm = await startSmallCrm();
  const policy = policyOf(crm, '');
  const gateway = await startGateway(policy);
  const { needles, key, client } = await useEverything(gateway, crm);
  gateway.command(
    'admins',
    'enrol',
    'Anna',
    '--out',
    temporaryDirectory(),
    '--policies',
    join(gateway.data, 'test-policies.yaml'),
  );
  t.ok(existsSync(join(gateway.data, 'admin', 'ca.key')), 'the authority of the administrators was made');
  await sendSignal(signedSignal(gateway.listeners.ops, 'home', SECRET, 'tamper'));
  // The disk is pulled out of a machine that runs.
  await gateway.program.kill();
  const loot = temporaryDirectory();
  cpSync(gateway.data, loot, { recursive: true, filter: (file) => !file.endsWith('control.sock') });
  // The test's own policy file lies there by accident; policies are configuration and hold no secret.
  const { found, files, bytes } = searchDirectory(loot, needles, (path) => path === 'test-policies.yaml');
  t.strictSame(
    found.filter((each) => !isAccountInTrail(each)),
    [],
  );
  t.comment(`${needles.length} texts in ${files.length} files, ${bytes} bytes: ${files.join(' ')}`);
  for (const wanted of ['sessions.db', 'keys.db', 'records.db', 'tls/ca.key', 'admin/ca.key'])
    t.ok(files.includes(wanted), wanted);
  t.ok(
    files.some((file) => file.startsWith('audit/')),
    'the trail',
  );
  t.ok(
    files.some((file) => file.startsWith('regions/')),
    'what is known of regions',
  );

  // The thief runs it, with a master key of his own.
  client.close();
  t.equal(await startsOn(policyOf(crm, ''), loot), 'it was refused', 'which is not the one of this disk');
  rmSync(join(loot, 'master.check'));
  const thief = await startGateway(policyOf(crm, ''), loot);
  t.teardown(async () => {
    await thief.program.stop();
    await crm.close();
  });
  const visitor = clientOf(thief, client.jar);
  t.equal(await whoAmI(visitor), undefined, 'a cookie of yesterday opens nothing');
  t.equal((await visitor.get('/api/me', { headers: { 'x-api-key': key } })).status, 401, 'nor does a key');
  t.match(thief.command('sessions', 'list').stdout, /0 sessions/);
  const [home] = JSON.parse(thief.command('regions', 'list', '--json').stdout) as { state: string }[];
  t.equal(home?.state, 'sealed', 'and what he cannot read stays closed');
  visitor.close();
});

await test('a stolen copy of the shared store holds nothing of that either', async (t) => {
  const redis = await startRedis(['rdbcompression no']);
  const crm = await startSmallCrm();
  const gateway = await startGateway(policyOf(crm, `store: { kind: redis, url: "${redis.url}" }\n`));
  t.teardown(async () => {
    await gateway.program.stop();
    await Promise.all([redis.kill(), crm.close()]);
  });
  const { needles, client } = await useEverything(gateway, crm);
  client.close();
  await redis.command('SAVE');
  const dump = readFileSync(join(redis.directory, 'dump.rdb'));
  t.strictSame(findNeedles('the dump', dump, needles), []);
  const keys = await keysOf(redis);
  t.ok(keys.length > 10, `${keys.length} keys, ${dump.length} bytes`);
  t.strictSame(findNeedles('the names of keys', Buffer.from(keys.join('\n')), needles), []);
  t.ok(
    keys.some((name) => /record.*region/.test(name)),
    'conditions of regions are among them',
  );
  const { found } = searchDirectory(gateway.data, needles, (path) => path === 'test-policies.yaml');
  t.strictSame(
    found.filter((each) => !isAccountInTrail(each)),
    [],
    'and the disk of the gateway holds no more',
  );
});

/** The trail is read by people without the master key: it names accounts, by their short ids, and nobody in them. */
function isAccountInTrail(found: string): boolean {
  return found.startsWith('the account in audit/');
}

async function keysOf(redis: RedisServer): Promise<string[]> {
  return ((await redis.command('KEYS', '*')) as string[]).toSorted();
}
