import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { test } from 'tap';

import { fingerprintOf } from '../../gateway/admin/client-certificate.ts';
import { makePayload, signPayload } from '../../gateway/admin/proposal.ts';
import { SignedRecords } from '../../gateway/admin/signed-records.ts';
import { createMasterKey, parseKeyring } from '../../gateway/crypto/keyring.ts';
import { findRestoreApproval, useRestoreApproval } from '../../gateway/server/restore-approval.ts';
import { openEmbeddedRecords } from '../../gateway/store/embedded-records.ts';

const SHA256 = 'ab'.repeat(32);
const NOW_MS = 1_800_000_000_000;
const DAY_MS = 86_400_000;

function person(name: string) {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { name, privateKey, fingerprint: fingerprintOf(publicKey) };
}

const anna = person('Anna');
const boris = person('Boris');
const carl = person('Carl');

/** Records in which one restore is approved by two people. */
async function approved(
  data: string,
  { second = boris, list = 1, state = 'done' }: { second?: typeof anna; list?: number; state?: string } = {},
) {
  const records = openEmbeddedRecords(':memory:');
  const signed = new SignedRecords(records, parseKeyring(createMasterKey()), data);
  const administrators = [anna, boris].map(({ name, fingerprint }) => ({ name, fingerprint }));
  await signed.write('admin', 'list', 1, {
    number: 1,
    gateway: 'here',
    administrators,
    since_ms: 1,
    by: 'policy',
  });
  const payload = makePayload(
    { kind: 'restore', parameters: { archive: 'zasov-x.age', sha256: SHA256 } },
    { gateway: 'here', list, expires_ms: NOW_MS },
  );
  const by = ({
    name,
    fingerprint,
    privateKey,
  }: {
    name: string;
    fingerprint: string;
    privateKey: KeyObject;
  }) => ({
    ...signPayload(payload, privateKey),
    name,
    fingerprint,
    at_ms: NOW_MS,
  });
  const proposal = { payload, state, proposed: by(anna), approved: by(second), ended: { at_ms: NOW_MS } };
  await signed.write('proposal', 'restore', 1, { past: [proposal] });
  return { signed, id: payload.id };
}

void test('what both approved is found for a day, by the hash of the archive, and once', async (t) => {
  const { signed, id } = await approved(t.testdir());
  t.match(await findRestoreApproval(signed, SHA256, NOW_MS + 1000), { proposal: { payload: { id } } });
  t.match(await findRestoreApproval(signed, 'cd'.repeat(32), NOW_MS), { lacks: /no approved proposal/ });
  t.match(await findRestoreApproval(signed, SHA256, NOW_MS + DAY_MS), { lacks: /older than a day/ });
  await useRestoreApproval(signed, id);
  await useRestoreApproval(signed, id);
  t.match(await findRestoreApproval(signed, SHA256, NOW_MS), { lacks: /was used already/ });
});

void test('an approval that is not of both, of another list, or not whole does not count', async (t) => {
  const foreign = await approved(t.testdir({ a: {} }), { second: carl });
  t.match(await findRestoreApproval(foreign.signed, SHA256, NOW_MS), { lacks: /not those of both/ });
  const alone = await approved(t.testdir({ b: {} }), { second: anna });
  t.match(await findRestoreApproval(alone.signed, SHA256, NOW_MS), { lacks: /not those of both/ });
  const stale = await approved(t.testdir({ c: {} }), { list: 2 });
  t.match(await findRestoreApproval(stale.signed, SHA256, NOW_MS), {
    lacks: /list of administrators has changed/,
  });
  const open = await approved(t.testdir({ d: {} }), { state: 'rejected' });
  t.match(await findRestoreApproval(open.signed, SHA256, NOW_MS), { lacks: /no approved proposal/ });
  const empty = new SignedRecords(
    openEmbeddedRecords(':memory:'),
    parseKeyring(createMasterKey()),
    t.testdir({ e: {} }),
  );
  t.match(await findRestoreApproval(empty, SHA256, NOW_MS), { lacks: /nobody is enrolled/ });
});
