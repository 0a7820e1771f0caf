import { appendFileSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';

import { createAuditKeys, readPublicKeys } from '../../gateway/audit/audit-keys.ts';
import { recordRestore } from '../../gateway/audit/record-restore.ts';
import { readHead } from '../../gateway/audit/trail-head.ts';
import { verifyTrail } from '../../gateway/audit/verify-trail.ts';
import { parseKeyring } from '../../gateway/crypto/keyring.ts';
import { TrailFixture } from './trail-fixture.ts';

/** A trail of two chains that went on after it was copied; the copy without the name of the node, as a backup has it. */
async function copied(directory: string) {
  const lost = new TrailFixture(join(directory, 'lost'));
  const one = lost.writer();
  const other = lost.writer();
  await one.append(lost.entries(3));
  await other.append(lost.entries(2));
  const data = mkdtempSync(join(directory, 'new-'));
  mkdirSync(join(data, 'audit-heads'), { recursive: true });
  const isHead = (name: string) => !name.includes('node.db') && !name.endsWith('.lock');
  cpSync(lost.heads, join(data, 'audit-heads'), { recursive: true, filter: isHead });
  await one.append(lost.entries(1));
  cpSync(lost.directory, join(data, 'audit'), { recursive: true });
  lost.clock.advance(61_000);
  // After the copy, with a checkpoint that tells of the other chain.
  await other.append(lost.entries(4));
  await one.append(lost.entries(5));
  const heads = await Promise.all(
    ['1', '2'].map(async (slot) => {
      const writer = `${nameOf(lost)}-${slot}`;
      const reading = await readHead(lost.heads, writer, lost.keys);
      return 'head' in reading ? reading.head : { writer, seq: 0, hash: '' };
    }),
  );
  await one.finish();
  await other.finish();
  return { lost, restored: new TrailFixture(data), heads };
}

function nameOf(trail: TrailFixture): string {
  return (trail.files[0] ?? '').split('/').at(-1)?.slice(0, 8) ?? '';
}

function partsOf({ directory, heads, keys, clock }: TrailFixture) {
  return { directory, heads, keys, clock, version: '0.1.0', movesTo: directory };
}

async function restore(trail: TrailFixture, heads: Parameters<typeof recordRestore>[2]) {
  const facts = { archive: 'zasov-x.age', sha256: 'ab'.repeat(32) };
  return recordRestore(partsOf(trail), facts, heads);
}

void test('a restored trail verifies, and names what the loss took', async (t) => {
  const { restored, heads } = await copied(t.testdir());
  await restore(restored, heads);
  const after = restored.writer();
  await after.append(restored.entries(2));
  await after.finish();
  const report = await verifyTrail(restored.place, restored.keys);
  t.same(report.problems, []);
  t.equal(report.ok, true);
  const gaps = report.gaps.map(({ from, to, archive }) => ({ from, to, archive }));
  t.same(gaps, [
    { from: 7, to: 12, archive: 'zasov-x.age' },
    { from: 5, to: 9, archive: 'zasov-x.age' },
  ]);
  t.equal(report.writers.length, 3, 'the new chain has a name of its own');
  const pinned = readPublicKeys(restored.keys.publicKeys.join(''));
  t.same(
    (await verifyTrail(restored.place, pinned)).problems,
    [],
    'also for whoever has the public key alone',
  );
});

void test('a restored trail that is cut later is seen, however well the gap is accounted for', async (t) => {
  const { restored, heads } = await copied(t.testdir());
  await restore(restored, heads);
  const [file = ''] = restored.files.filter((each) => each.includes(`${heads[0]?.writer ?? ''}.`));
  const lines = readFileSync(file, 'utf8').split('\n');
  truncateSync(file, Buffer.byteLength(lines.slice(0, -2).join('\n')) + 1);
  const report = await verifyTrail(restored.place, restored.keys);
  t.match(report.problems, [{ kind: 'truncated', seq: 6 }]);
});

void test('nobody without the master key accounts for a gap', async (t) => {
  const { restored, heads } = await copied(t.testdir());
  const foreign = createAuditKeys(parseKeyring(`2:${'C'.repeat(42)}A`));
  await recordRestore({ ...partsOf(restored), keys: foreign }, { archive: 'zasov-x.age' }, heads);
  const report = await verifyTrail(restored.place, restored.keys);
  t.equal(report.ok, false);
  t.same(report.gaps, []);
});

void test('a chain that the backup lacks as a whole is named too', async (t) => {
  const { restored, heads } = await copied(t.testdir());
  for (const file of restored.files.filter((each) => each.includes(`${heads[1]?.writer ?? ''}.`)))
    rmSync(file);
  rmSync(join(restored.heads, `${heads[1]?.writer ?? ''}.head`));
  await restore(restored, heads);
  const report = await verifyTrail(restored.place, restored.keys);
  t.same(report.problems, []);
  t.same(report.gaps.find(({ writer }) => writer === heads[1]?.writer)?.from, 1);
});

void test('a line that the copy cut in the middle does not stand in the way', async (t) => {
  const { restored, heads } = await copied(t.testdir());
  const [file = ''] = restored.files;
  appendFileSync(file, '{"event":"session.si');
  await restore(restored, heads);
  t.equal((await verifyTrail(restored.place, restored.keys)).ok, true);
});
