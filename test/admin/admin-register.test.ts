import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

import { test } from 'tap';

import { AdminRegister } from '../../gateway/admin/admin-register.ts';
import { SignedRecords } from '../../gateway/admin/signed-records.ts';
import { readSerial } from '../../gateway/admin/revocations.ts';
import type { AuditEvent, AuditSink } from '../../gateway/core/audit-event.ts';
import { GatewayError } from '../../gateway/core/gateway-error.ts';
import { createMasterKey, type Keyring, parseKeyring } from '../../gateway/crypto/keyring.ts';
import { openEmbeddedRecords } from '../../gateway/store/embedded-records.ts';
import { certify, listed, makeAdministrator } from '../support/administrator.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { temporaryDirectory } from '../support/start-gateway.ts';

const anna = makeAdministrator('Anna');
const boris = makeAdministrator('Boris');
const carl = makeAdministrator('Carl');
const two = [listed(anna), listed(boris)];
const DAY_MS = 86_400_000;
const base = temporaryDirectory();
const MASTER_KEY = createMasterKey();
/** The data directory of one more node of the installation. */
const newDirectory = () => {
  const directory = mkdtempSync(join(base, 'data-'));
  writeFileSync(join(directory, 'master.key'), MASTER_KEY);
  return directory;
};

/** One installation that may be opened several times, as processes and nodes do. */
function installation(masterKey = MASTER_KEY) {
  const data = newDirectory();
  const keyring = parseKeyring(masterKey);
  writeFileSync(join(data, 'master.key'), masterKey);
  const clock = new ManualClock();
  const events: AuditEvent[] = [];
  const lines: string[] = [];
  const path = join(data, 'records.db');
  const open = async (
    wanted: readonly { name: string; fingerprint: string }[] | undefined,
    own: { data?: string; keyring?: Keyring; audit?: AuditSink } = {},
  ) => {
    const records = openEmbeddedRecords(path);
    const audit = own.audit ?? {
      note: (event) => void events.push(event),
      commit: async (event) => void events.push(event),
    };
    const used = { keyring, data, ...own };
    const signed = new SignedRecords(records, used.keyring, used.data);
    const parts = { records, signed, clock, ...used };
    const register = await AdminRegister.open(
      { ...parts, audit, notice: (level, message) => void lines.push(`${level} ${message}`) },
      wanted,
    );
    return { register, records };
  };
  return { data, clock, events, lines, path, open, keyring };
}

void test('the first start enrols the two of the policy, and that is on record before it is so', async (t) => {
  const { open, events } = installation();
  const { register } = await open(two);
  t.same(register.administrators, two);
  t.equal(register.listNumber, 1);
  t.same(
    events.map(({ event }) => event),
    ['admin.enrolled'],
  );
  t.same(
    (await open(undefined)).register.administrators,
    two,
    'another start without the key changes nothing',
  );
});

void test('nobody is enrolled when it cannot be put on record', async (t) => {
  const { open } = installation();
  const audit: AuditSink = {
    note: () => undefined,
    commit: () => Promise.reject(new GatewayError('internal', 'the disk is full')),
  };
  await t.rejects(open(two, { audit }), /disk is full/);
  t.same((await open(undefined)).register.administrators, []);
});

void test('a changed policy is only a wish: the recorded two stay, and it is said', async (t) => {
  const { open, lines } = installation();
  await open(two);
  const wish = [listed(anna), listed(carl)];
  const { register } = await open(wish);
  t.same(register.administrators, two);
  t.same(register.proposed, wish);
  t.match(lines.at(-1), /^warn the policy names other administrators/);
  await register.configure([...two].toReversed());
  t.equal(register.proposed, undefined, 'the order of the two means nothing');
  await register.configure(undefined);
  t.same(register.administrators, two);
});

void test('two processes that start together enrol once', async (t) => {
  const { open, events } = installation();
  const [one, other] = await Promise.all([open(two), open([listed(anna), listed(carl)])]);
  t.same(one?.register.administrators, other?.register.administrators);
  t.equal(one?.register.listNumber, 1);
  t.ok(events.length <= 2);
});

void test('who is let in, and why the others are not', async (t) => {
  const { open, data, clock } = installation();
  const { register } = await open(two);
  const now = clock.now();
  const good = await certify(anna, data, now);
  t.same(register.identify(good), listed(anna));
  t.equal(register.identify(undefined), 'no_certificate');
  t.equal(
    register.identify(await certify(carl, data, now)),
    'unknown_key',
    'a third person of the same authority',
  );
  t.equal(register.identify(await certify(anna, data, now - 100 * DAY_MS)), 'expired');
  t.equal(
    register.identify(await certify(anna, data, now + 2 * DAY_MS)),
    'expired',
    'its time has not begun',
  );
  t.equal(register.identify(await certify(anna, newDirectory(), now)), 'other_authority', 'of the same name');
  clock.advance(91 * DAY_MS);
  t.equal(register.identify(good), 'expired');
  t.same(register.identify(await certify(anna, data, clock.now())), listed(anna), 'the same key, renewed');
});

void test('with nobody enrolled nobody is let in', async (t) => {
  const { open, data, clock } = installation();
  const { register } = await open(undefined);
  t.equal(register.identify(await certify(anna, data, clock.now())), 'not_enrolled');
});

void test('a revoked certificate is refused on every process, and the others are told', async (t) => {
  const { open, data, clock } = installation();
  const here = await open(two);
  const there = await open(two);
  const certificate = await certify(anna, data, clock.now());
  let told = 0;
  there.register.onChange(() => told++);
  await here.register.revoke({
    serial: readSerial(certificate.serialNumber) ?? '',
    at_ms: clock.now(),
    by: 'Boris',
  });
  t.equal(here.register.identify(certificate), 'revoked');
  there.register.tick();
  await there.register.reload();
  t.equal(there.register.identify(certificate), 'revoked');
  t.equal(told, 1);
  t.same(
    here.register.identify(await certify(anna, data, clock.now())),
    listed(anna),
    'another of hers is good',
  );
});

void test('all certificates of a key can be revoked at once, and a later one is good', async (t) => {
  const { open, data, clock } = installation();
  const { register } = await open(two);
  const first = await certify(anna, data, clock.now());
  clock.advance(5000);
  await register.revoke({ fingerprint: anna.fingerprint, at_ms: clock.now(), by: 'Anna' });
  t.equal(register.identify(first), 'revoked');
  clock.advance(5000);
  t.same(register.identify(await certify(anna, data, clock.now())), listed(anna));
  t.same(register.identify(await certify(boris, data, clock.now())), listed(boris));
});

void test('nodes have an authority each, and certificates of all of them count', async (t) => {
  const { open, clock } = installation();
  const { register } = await open(two);
  const elsewhere = newDirectory();
  const node = await open(two, { data: elsewhere });
  await register.reload();
  const certificate = await certify(boris, elsewhere, clock.now());
  t.same(register.identify(certificate), listed(boris));
  t.same(node.register.identify(certificate), listed(boris));
  t.equal(register.authorities.length, 2);
});

void test('a record that somebody changed closes the door', async (t) => {
  for (const name of ['list', 'authorities']) {
    const { open, path, data, clock, lines } = installation();
    const before = await open(two);
    const certificate = await certify(anna, data, clock.now());
    t.same(before.register.identify(certificate), listed(anna));
    const file = new DatabaseSync(path);
    const { body } = file.prepare('SELECT body FROM records WHERE id = ?').get(name) as { body: Uint8Array };
    body[body.length - 20] = (body[body.length - 20] ?? 0) ^ 1;
    file.prepare('UPDATE records SET body = ? WHERE id = ?').run(body, name);
    await before.register.reload();
    t.equal(before.register.identify(certificate), 'not_enrolled', `${name}, while running`);
    const { register } = await open(two);
    t.equal(register.identify(certificate), 'not_enrolled', `${name}, after a restart`);
    t.match(register.fault, /was not written by this gateway/);
    t.ok(lines.some((line) => line.startsWith('error nobody is let in')));
  }
});

void test('a list that is put back or taken away closes the door and enrols nobody anew', async (t) => {
  const { open, path } = installation();
  const { register } = await open(two);
  const file = new DatabaseSync(path);
  const old = file.prepare('SELECT version, body FROM records WHERE id = ?').get('list') as Record<
    string,
    never
  >;
  await register.replace(1, [listed(anna), listed(carl)], 'a proposal');
  t.same(register.administrators, [listed(anna), listed(carl)]);
  file
    .prepare('UPDATE records SET version = ?, body = ? WHERE id = ?')
    .run(old['version'] ?? 0, old['body'] ?? '', 'list');
  t.match((await open(two)).register.fault, /older than one that was seen/);
  file.prepare('DELETE FROM records').run();
  const emptied = await open(two);
  t.match(emptied.register.fault, /is gone/);
  t.same(emptied.register.administrators, []);
});

void test('a record of another installation is not believed', async (t) => {
  const { open, data, path } = installation();
  await open(two);
  rmSync(join(data, 'admin', 'seen'));
  const stranger = await open(two, { keyring: parseKeyring(createMasterKey()) });
  t.match(stranger.register.fault, /was not written by this gateway/);
  t.ok(path);
});

void test('the list lives through a change of the master key', async (t) => {
  const first = createMasterKey().trim();
  const second = `2:${createMasterKey().trim().slice(2)}`;
  const { open } = installation(first);
  await open(two);
  await open(two, { keyring: parseKeyring(`${second}\n${first}`) });
  const { register } = await open(two, { keyring: parseKeyring(second) });
  t.equal(register.fault, undefined);
  t.same(register.administrators, two);
});
