import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { test } from 'tap';

import { AdminRegister } from '../../gateway/admin/admin-register.ts';
import { SignedRecords } from '../../gateway/admin/signed-records.ts';
import type { AuditEvent } from '../../gateway/core/audit-event.ts';
import { createMasterKey, parseKeyring } from '../../gateway/crypto/keyring.ts';
import { type CandidatePolicy, PolicyGuard } from '../../gateway/server/policy-guard.ts';
import { openEmbeddedRecords } from '../../gateway/store/embedded-records.ts';
import { listed, makeAdministrator } from '../support/administrator.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { goodPolicy, SHORTEST } from '../support/policy-fixture.ts';
import { temporaryDirectory } from '../support/start-gateway.ts';

const base = temporaryDirectory();
const two = ['Anna', 'Boris'].map((name) => listed(makeAdministrator(name)));

/** Nodes over one store, each with a data directory. */
function cluster(isEnrolled = true) {
  const path = join(mkdtempSync(join(base, 'store-')), 'records.db');
  const keyring = parseKeyring(createMasterKey());
  const clock = new ManualClock();
  const events: AuditEvent[] = [];
  const open = async (data = mkdtempSync(join(base, 'node-'))) => {
    const records = openEmbeddedRecords(path);
    const signed = new SignedRecords(records, keyring, data);
    const audit = {
      note: (event: AuditEvent) => void events.push(event),
      commit: async (event: AuditEvent) => void events.push(event),
    };
    const parts = { records, signed, keyring, clock, data, audit, notice: () => undefined };
    const register = await AdminRegister.open(parts, isEnrolled ? two : undefined);
    return { data, guard: new PolicyGuard({ ...parts, register }) };
  };
  return { open, events, clock };
}

const folder = { testdir: () => mkdtempSync(join(base, 'policy-')) };

function candidate(idle: string): CandidatePolicy {
  return goodPolicy(folder, SHORTEST.replace('sessions: {}', `sessions: { idle: ${idle} }`));
}

const [strict, middle, loose] = [candidate('10m'), candidate('20m'), candidate('30m')];

void test('what lowers a protection is held, what raises one is not', async (t) => {
  const { open, events } = cluster();
  const { guard } = await open();
  await guard.start(middle);
  t.equal(await guard.judge(strict), undefined);
  t.match(await guard.judge(loose), { policy: loose.contentHash, changes: ['sessions.idle: 20m → 30m'] });
  t.match(await guard.heldAnywhere(), { policy: loose.contentHash });
  t.ok(events.some(({ event, facts }) => event === 'policy.held' && facts?.['policy'] === loose.contentHash));
  t.equal(await guard.judge(middle), undefined, 'putting it back needs nobody');
  await guard.accept(middle);
  t.equal(guard.held, undefined);
  t.equal(await guard.heldAnywhere(), undefined);
});

void test('approval is for one very set, and holds on every node', async (t) => {
  const { open } = cluster();
  const [one, other] = [await open(), await open()];
  await one.guard.start(strict);
  await other.guard.start(strict);
  t.ok(await other.guard.judge(middle));
  await one.guard.approve(middle.contentHash);
  t.equal(await other.guard.judge(middle), undefined);
  t.ok(await other.guard.judge(loose), 'another that lowers more is another');
  await other.guard.accept(middle);
  t.ok(await one.guard.judge(loose));
});

void test('an approval is good for one time, and for a day', async (t) => {
  const { open, clock } = cluster();
  const { guard, data } = await open();
  await guard.start(strict);
  await guard.approve(loose.contentHash);
  await guard.accept(loose);
  await guard.accept(strict);
  t.ok(await guard.judge(loose), 'it was replaced since');
  await guard.approve(middle.contentHash);
  clock.advance(86_400_000);
  t.ok(await guard.judge(middle), 'nobody took it in time');
  await guard.approve(middle.contentHash);
  await guard.accept(middle);
  const again = await open(data);
  await again.guard.start(strict);
  t.ok(await again.guard.judge(middle), 'it was replaced while the gateway was stopped');
});

void test('in steps that raise and lower nothing is lowered', async (t) => {
  const { open } = cluster();
  const { guard } = await open();
  await guard.start(middle);
  await guard.accept(strict);
  t.ok(await guard.judge(middle), 'what was in force once is not approved for that');
});

void test('a restart compares with what was in force on this node', async (t) => {
  const { open } = cluster();
  const node = await open();
  await node.guard.start(strict);
  const again = await open(node.data);
  await t.rejects(again.guard.start(loose), { code: 'internal' });
  await again.guard.start(strict);
});

void test('a node without what it kept, or with something else in its place, compares with what the others have', async (t) => {
  const { open } = cluster();
  const node = await open();
  await node.guard.start(strict);
  const kept = join(node.data, 'admin', 'policy-in-force');
  for (const spoil of [() => writeFileSync(kept, 'x'), () => rmSync(kept)]) {
    spoil();
    const { guard } = await open(node.data);
    await t.rejects(guard.start(loose), /lower a protection/);
    t.match(await guard.heldAnywhere(), { policy: loose.contentHash }, 'and both can approve it elsewhere');
  }
  await t.rejects((await open()).guard.start(loose), /lower a protection/, 'a new node too');
  await node.guard.approve(loose.contentHash);
  await (await open()).guard.start(loose);
});

void test('a node that is behind the others goes on with what it had', async (t) => {
  const { open } = cluster();
  const [one, other] = [await open(), await open()];
  await one.guard.start(middle);
  await other.guard.start(middle);
  await one.guard.accept(strict);
  await (await open(other.data)).guard.start(middle);
  t.pass('a restart in the middle of a rollout is no lowering');
});

void test('while nobody is enrolled nothing is held and nothing kept', async (t) => {
  const { open } = cluster(false);
  const node = await open();
  await node.guard.start(strict);
  t.equal(await node.guard.judge(loose), undefined);
  await node.guard.accept(loose);
  await (await open(node.data)).guard.start(loose);
});
