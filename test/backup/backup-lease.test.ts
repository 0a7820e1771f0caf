import { join } from 'node:path';

import { type Test, test } from 'tap';

import { BackupLease, LEASE_MS } from '../../gateway/backup/backup-lease.ts';
import { createMasterKey, parseKeyring } from '../../gateway/crypto/keyring.ts';
import { createSealedBox } from '../../gateway/crypto/sealed-box.ts';
import { openEmbeddedRecords } from '../../gateway/store/embedded-records.ts';
import type { RecordStore } from '../../gateway/store/record-store.ts';
import { ManualClock } from '../support/manual-clock.ts';

const box = createSealedBox(parseKeyring(createMasterKey()), 'backup-lease');
const BACKUP = { archive: 'a.age', bytes: 5, sha256: 'aa', createdMs: 1_800_000_000_000, seconds: 1 };
const DONE = { ended: 'done', backup: BACKUP } as const;

function fleet(t: Test) {
  const path = join(t.testdir(), 'records.db');
  const clock = new ManualClock();
  const records = openEmbeddedRecords(path);
  t.teardown(() => records.close());
  const node = (name: string, store: Pick<RecordStore, 'read' | 'write'> = records) =>
    new BackupLease({ records: store, box, id: 'backup', name, clock });
  return { clock, records, node };
}

await test('of two nodes that are due at once exactly one makes the backup, and both know of it', async (t) => {
  const { node } = fleet(t);
  const [one, other] = [node('one'), node('other')];
  const taken = await Promise.all([one.take(), other.take()]);
  t.equal(taken.filter(Boolean).length, 1);
  const winner = taken[0] ? one : other;
  const loser = taken[0] ? other : one;
  t.equal(loser.isTaken(await loser.read()), true);
  t.equal(await loser.finish(DONE), false);
  t.equal(await winner.finish(DONE), true);
  t.match(await loser.read(), {
    last: BACKUP,
    lastSuccessMs: BACKUP.createdMs,
    failures: 0,
    holder: undefined,
  });
});

await test('a holder that renews keeps the lease for as long as it likes', async (t) => {
  const { node, clock } = fleet(t);
  const [one, other] = [node('one'), node('other')];
  await one.take();
  for (let step = 0; step < 20; step += 1) {
    t.equal(await other.take(), false);
    clock.advance(LEASE_MS / 3);
    t.equal(await one.renew(), true);
  }
});

await test('a dead holder is followed by another one when its lease has run out, and not before', async (t) => {
  const { node, clock } = fleet(t);
  const [dead, other] = [node('dead'), node('other')];
  await dead.take();
  t.equal(await other.take(), false);
  clock.advance(LEASE_MS - 1);
  t.equal(await other.take(), false);
  clock.advance(1);
  t.equal(await other.take(), true);
});

await test('the next process of a node that was killed need not wait', async (t) => {
  const { node } = fleet(t);
  const killed = node('one');
  await killed.take();
  const next = node('one');
  t.equal(await next.take(), true);
  t.equal(await killed.finish(DONE), false);
});

await test('a holder that was paused neither renews nor finishes as the second one', async (t) => {
  const { node, clock } = fleet(t);
  const [paused, other] = [node('paused'), node('other')];
  await paused.take();
  await other.take();
  clock.advance(LEASE_MS);
  t.equal(await other.take(), true);
  t.equal(await other.finish(DONE), true);
  t.equal(await paused.renew(), false);
  t.equal(paused.isHeld, false);
  t.equal(await paused.finish({ ended: 'failed', failure: 'late' }), false);
  t.match(await other.read(), { failures: 0, last: BACKUP });
});

await test('a node whose clock is minutes ahead does not take the lease from a holder that renews', async (t) => {
  const { node, records } = fleet(t);
  const one = node('one');
  await one.take();
  const ahead = new ManualClock(1_800_000_000_000 + 9 * 60_000);
  const other = new BackupLease({ records, box, id: 'backup', name: 'ahead', clock: ahead });
  for (let step = 0; step < 10; step += 1) {
    t.equal(await other.take(), false);
    t.equal(await one.renew(), true);
    ahead.advance(10);
  }
});

await test('an attempt that was given up is neither a success nor a failure', async (t) => {
  const { node } = fleet(t);
  const one = node('one');
  await one.take();
  await one.finish({ ended: 'failed', failure: 'the disk is full' });
  t.match(await one.read(), { failures: 1, failure: 'the disk is full', lastSuccessMs: undefined });
  await one.take();
  await one.finish({ ended: 'given_up' });
  t.match(await one.read(), { failures: 1, failure: 'the disk is full', holder: undefined });
});

await test('a record that somebody else wrote puts no backup off', async (t) => {
  const { node, records, clock } = fleet(t);
  const one = node('one');
  await one.read();
  const forged = Buffer.from(JSON.stringify({ lastSuccessMs: clock.now() * 2, failures: 0 }));
  const version = (await records.read('lease', 'backup'))?.version ?? 0;
  await records.write({ kind: 'lease', id: 'backup', version: version + 1, body: forged });
  t.match(await one.read(), { lastSuccessMs: undefined, sinceMs: clock.now() });
  t.equal(await one.take(), true);
});

await test('an answer of the store that got lost does not lose the lease', async (t) => {
  const { node, records } = fleet(t);
  let isLost = false;
  const flaky: Pick<RecordStore, 'read' | 'write'> = {
    read: (kind, id) => records.read(kind, id),
    write: async (record) => {
      const isWritten = await records.write(record);
      return isLost ? ((isLost = false), false) : isWritten;
    },
  };
  const one = node('one', flaky);
  await one.take();
  isLost = true;
  t.equal(await one.renew(), true);
  t.equal(await one.finish(DONE), true);
});
