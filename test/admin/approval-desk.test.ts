import { mkdtempSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

import { test } from 'tap';
import { parse } from 'yaml';

import { describeAction } from '../../gateway/admin/critical-action.ts';
import { type ProposalSlot, stepProposal } from '../../gateway/admin/proposal-life.ts';
import { payloadHash, signPayload } from '../../gateway/admin/proposal.ts';
import type { AuditSink } from '../../gateway/core/audit-event.ts';
import { GatewayError } from '../../gateway/core/gateway-error.ts';
import { ADMIN_OPERATIONS } from '../../gateway/server/admin-api.ts';
import { openEmbeddedRecords } from '../../gateway/store/embedded-records.ts';
import { listed } from '../support/administrator.ts';
import { temporaryDirectory } from '../support/start-gateway.ts';
import { anna, boris, carl, deskBench, HOUR_MS, RESTORE, UNSEAL } from './approval-bench.ts';

const base = temporaryDirectory();

function openBench() {
  const path = join(mkdtempSync(join(base, 'desk-')), 'records.db');
  return { ...deskBench(() => openEmbeddedRecords(path)), path };
}

void test('an action is carried out once both have signed, and every step is on record before it', async (t) => {
  const bench = openBench();
  const node = await bench.open();
  const payload = bench.payload(UNSEAL);
  t.match(await bench.propose(node, anna, payload), { proposal: { state: 'open' } });
  t.equal(node.desk.pending, 1);
  t.match(await bench.approve(node, anna, payload), { refused: 'own_signature' });
  t.match(await bench.approve(node, carl, payload), { refused: 'not_listed' });
  t.same(bench.carried, []);
  t.match(await bench.approve(node, boris, payload), { proposal: { state: 'approved' } });
  await node.desk.idle();
  t.match(bench.carried, [{ id: payload.id, action: UNSEAL }]);
  t.equal(node.desk.pending, 0);
  t.match(await bench.approve(node, boris, payload), { refused: 'not_open' });
  const names = bench.events.map(({ event }) => event);
  t.same(names, [
    'admin.enrolled',
    'approval.proposed',
    'approval.approved',
    'approval.executing',
    'approval.done',
  ]);
  t.match(bench.events[1]?.facts, {
    administrator: 'Anna',
    hash: payloadHash(payload),
    words: [/msk opens again/],
  });
});

void test('nothing is opened, approved or carried out that cannot be put on record', async (t) => {
  const bench = openBench();
  const good = await bench.open();
  const audit: AuditSink = {
    note: () => undefined,
    commit: () => Promise.reject(new GatewayError('audit_unavailable', 'the disk is full')),
  };
  const blind = await bench.open({ audit });
  const payload = bench.payload(UNSEAL);
  await t.rejects(bench.propose(blind, anna, payload), { code: 'audit_unavailable' });
  t.match(await bench.propose(good, anna, payload), { proposal: { state: 'open' } });
  await t.rejects(bench.approve(blind, boris, payload), { code: 'audit_unavailable' });
  await good.desk.refresh();
  t.equal(good.desk.pending, 1, 'it waits as before');
});

void test('a signature counts for the very payload only: another kind, parameter, list, gateway or time is another', async (t) => {
  const bench = openBench();
  const node = await bench.open();
  const payload = bench.payload(UNSEAL);
  const signature = signPayload(payload, anna.privateKey);
  const others = [
    { ...payload, parameters: { region: 'spb' } },
    { ...payload, kind: 'restore', parameters: RESTORE.parameters },
    { ...payload, expires_ms: payload.expires_ms - 1 },
    { ...payload, nonce: payload.id },
    { ...payload, id: payload.nonce },
  ];
  for (const other of others)
    t.match(await node.desk.propose(listed(anna), other, signature), { refused: 'bad_signature' });
  const elsewhere = { ...payload, gateway: 'A'.repeat(22) };
  const signed = signPayload(elsewhere, anna.privateKey);
  t.match(await node.desk.propose(listed(anna), elsewhere, signed), { refused: 'stale_list' });
  t.match(await node.desk.propose(listed(anna), payload, signature), { proposal: { state: 'open' } });
});

void test('a new list makes every proposal under the old one void', async (t) => {
  const bench = openBench();
  const node = await bench.open();
  const payload = bench.payload(UNSEAL);
  await bench.propose(node, anna, payload);
  await node.register.replace(1, [listed(anna), listed(carl)], 'by both');
  t.match(await bench.approve(node, boris, payload), { refused: 'not_open' });
  t.match(await bench.approve(node, carl, payload), { refused: 'not_open' });
  await node.desk.tick();
  t.match(node.desk.proposals, [{ state: 'void' }]);
  t.same(bench.carried, []);
});

void test('an approved action that nobody began in time is not begun any more', (t) => {
  const payload = { ...openBench().payload(UNSEAL), list: 1, expires_ms: HOUR_MS };
  const by = { public_key: '', signature: '', fingerprint: 'a', name: 'Anna', at_ms: 0 };
  const approved = { ...by, fingerprint: 'b', name: 'Boris', at_ms: HOUR_MS - 1 };
  const slot: ProposalSlot = { current: { payload, state: 'approved', proposed: by, approved }, past: [] };
  const at = (nowMs: number) => ({ nowMs, list: 1, fingerprints: ['a', 'b'] });
  const claim = { do: 'claim', by: 'node', leaseMs: 1000 } as const;
  t.match(stepProposal(slot, claim, at(HOUR_MS + 1000)), { slot: { current: { state: 'executing' } } });
  t.match(stepProposal(slot, claim, at(HOUR_MS + 300_000)), { refused: 'nothing_to_do' });
  t.end();
});

void test('a proposal that somebody put back in the store is carried out by nobody', async (t) => {
  const bench = openBench();
  const data = mkdtempSync(join(base, 'node-'));
  const node = await bench.open({ data });
  const payload = bench.payload(UNSEAL);
  await bench.propose(node, anna, payload);
  const file = new DatabaseSync(bench.path);
  const old = file.prepare("SELECT version, body FROM records WHERE kind = 'proposal'").get() as Record<
    string,
    never
  >;
  await node.desk.reject(listed(boris), payload.id);
  file
    .prepare("UPDATE records SET version = ?, body = ? WHERE kind = 'proposal'")
    .run(old['version'] ?? 0, old['body'] ?? '');
  await t.rejects(bench.approve(node, boris, payload), { code: 'admin_untrusted' });
  node.close();
  const again = await bench.open({ data }).catch((error: unknown) => error);
  t.match(again, { code: 'admin_untrusted' }, 'after a restart too');
  t.same(bench.carried, []);
});

void test('the words come from what is signed, and hide nothing', (t) => {
  const people = [listed(anna), listed(boris)];
  const replaced = describeAction({
    kind: 'replace_administrators',
    parameters: { from: people, to: [listed(anna), listed(carl)] },
  });
  t.match(replaced, [/^Boris .* is no longer an administrator$/, /^Carl .* becomes an administrator$/]);
  t.match(replaced?.[1], carl.fingerprint);
  const renamed = [listed(anna), { ...listed(boris), name: 'Bob' }];
  t.match(describeAction({ kind: 'replace_administrators', parameters: { from: people, to: renamed } }), [
    /^Boris .* is called Bob/,
  ]);
  t.equal(describeAction({ kind: 'anything', parameters: {} }), undefined);
  t.equal(describeAction({ kind: 'unseal_region', parameters: { region: 'msk', more: 1 } }), undefined);
  const policy = 'ab'.repeat(32);
  for (const hidden of ['a\nb', 'a\u001b[2Jb', 'a\u202eb', 'a\u200bb'])
    t.equal(
      describeAction({ kind: 'lower_protection', parameters: { policy, changes: [hidden] } }),
      undefined,
      JSON.stringify(hidden),
    );
  t.end();
});

void test('the OpenAPI file describes every operation of the administrators’ API and no other', (t) => {
  const { paths } = parse(readFileSync('gateway/server/admin-openapi.yaml', 'utf8')) as {
    paths: Record<string, Record<string, unknown>>;
  };
  const described = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path.replaceAll(/\{\w+\}/g, '*')}`),
  );
  t.strictSame(new Set(described), new Set(ADMIN_OPERATIONS));
  t.end();
});
