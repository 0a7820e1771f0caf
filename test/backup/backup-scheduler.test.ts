import { join } from 'node:path';

import { type Test, test } from 'tap';

import { BackupLease, LEASE_MS } from '../../gateway/backup/backup-lease.ts';
import type { ArchiveKind } from '../../gateway/backup/backup-progress.ts';
import { type ArchiveOrder, BackupScheduler } from '../../gateway/backup/backup-scheduler.ts';
import { GatewayError } from '../../gateway/core/gateway-error.ts';
import { createMasterKey, parseKeyring } from '../../gateway/crypto/keyring.ts';
import { createSealedBox } from '../../gateway/crypto/sealed-box.ts';
import { openEmbeddedRecords } from '../../gateway/store/embedded-records.ts';
import type { RecordStore } from '../../gateway/store/record-store.ts';
import { ManualClock } from '../support/manual-clock.ts';

const box = createSealedBox(parseKeyring(createMasterKey()), 'backup-lease');
const HOUR = 3_600_000;
const DAILY = { everyMs: 24 * HOUR, atMs: undefined };

/** Nodes on one store; each archive that is begun waits until the test ends it. */
function fleet(t: Test) {
  const clock = new ManualClock();
  const records = openEmbeddedRecords(join(t.testdir(), 'records.db'));
  t.teardown(() => records.close());
  const log: string[] = [];
  /** A full disk takes no record, and those that are there can be read. */
  const disk = { isFull: false };
  const kept: Pick<RecordStore, 'read' | 'write'> = {
    read: (kind, id) => records.read(kind, id),
    write: async (record) => {
      if (disk.isFull) throw new GatewayError('store_unavailable', 'the disk is full');
      return await records.write(record);
    },
  };
  let made = 0;
  const node = (name: string, hasOwn = true) => {
    const orders: (ArchiveOrder & { end(error?: Error): void })[] = [];
    const lease = (id: string) => new BackupLease({ records: kept, box, id, name, clock });
    const scheduler = new BackupScheduler({
      fleet: lease('backup'),
      node: hasOwn ? lease(`backup-${name}`) : undefined,
      clock,
      observer: {
        started: (kind, cutOff) =>
          log.push(`${name} started ${kind}${cutOff === undefined ? '' : ` after ${cutOff}`}`),
        done: (kind) => log.push(`${name} done ${kind}`),
        failed: (kind, error, failures) => log.push(`${name} failed ${kind} ${failures} ${String(error)}`),
        gaveUp: (kind) => log.push(`${name} gave up ${kind}`),
      },
      make: (order) =>
        new Promise((resolve, reject) => {
          const createdMs = clock.now();
          const archive = `${(made += 1)}.age`;
          order.signal.addEventListener('abort', () => reject(order.signal.reason as Error));
          orders.push({
            ...order,
            end: (error) =>
              error === undefined
                ? resolve({ archive, bytes: 1, sha256: 'aa', createdMs, seconds: 1 })
                : reject(error),
          });
        }),
    });
    scheduler.configure(DAILY);
    return { scheduler, orders };
  };
  /** Lets seconds go by; every node looks in each. */
  const pass = async (milliseconds: number, ...nodes: { scheduler: BackupScheduler }[]) => {
    const step = Math.max(5000, milliseconds / 50);
    for (let gone = 0; gone < milliseconds; gone += step) {
      clock.advance(step);
      for (const { scheduler } of nodes) await scheduler.tick();
    }
  };
  return { clock, log, node, pass, records, disk };
}

/** Ends the archive under way and waits until that is on record. */
async function end({ scheduler, orders }: ReturnType<ReturnType<typeof fleet>['node']>, error?: Error) {
  const run = scheduler.run;
  orders.at(-1)?.end(error);
  await run?.ended.catch(() => undefined);
}

await test('a fleet makes one archive in each period, and each other node one of its own', async (t) => {
  const { log, node, pass } = fleet(t);
  const [a, b] = [node('a'), node('b')];
  for (let day = 0; day < 3; day += 1) {
    await pass(10_000, a, b);
    await end(a);
    await end(b);
    await pass(24 * HOUR - 10_000, a, b);
  }
  const done = (kind: ArchiveKind) => log.filter((line) => line.endsWith(`done ${kind}`)).length;
  t.equal(done('fleet'), 3);
  t.equal(done('node'), 3);
});

await test('the store of one node needs no archives of nodes', async (t) => {
  const { log, node, pass } = fleet(t);
  const a = node('a', false);
  await pass(5000, a);
  await end(a);
  await pass(23 * HOUR, a);
  t.same(log, ['a started fleet', 'a done fleet']);
});

await test('a node that died in the middle is followed by another one', async (t) => {
  const { log, node, pass } = fleet(t);
  const [dead, other] = [node('dead'), node('other')];
  await pass(5000, dead);
  await pass(5000, other);
  await end(other);
  await pass(LEASE_MS, other);
  await end(other);
  t.same(log, [
    'dead started fleet',
    'other started node',
    'other done node',
    'other started fleet after dead',
    'other done fleet',
  ]);
});

await test('a node that was paused does not name its archive, nor does it count', async (t) => {
  const { log, node, pass } = fleet(t);
  const [paused, other] = [node('paused', false), node('other', false)];
  await pass(5000, paused);
  await pass(LEASE_MS + 5000, other);
  await end(other);
  t.equal(await paused.orders[0]?.confirm(), false);
  await end(paused);
  t.match(log.at(-1), /^paused failed fleet 0 .*another node has taken/);
  const count = log.length;
  await pass(HOUR, paused, other);
  t.equal(log.length, count, 'and the period is not made again');
});

await test('a node that is paused and sees it stops its work', async (t) => {
  const { log, node, pass } = fleet(t);
  const [paused, other] = [node('paused', false), node('other', false)];
  await pass(5000, paused);
  await pass(LEASE_MS + 5000, other);
  const run = paused.scheduler.run;
  await paused.scheduler.tick();
  t.equal(paused.orders[0]?.signal.aborted, true);
  await run?.ended.catch(() => undefined);
  t.match(log.at(-1), /^paused failed fleet/);
});

await test('a failed backup is told at once and tried again after a pause', async (t) => {
  const { log, node, pass } = fleet(t);
  const a = node('a', false);
  await pass(5000, a);
  await end(a, new Error('the disk is full'));
  t.same(log, ['a started fleet', 'a failed fleet 1 Error: the disk is full']);
  await pass(40_000, a);
  t.equal(a.orders.length, 1);
  await pass(30_000, a);
  t.equal(a.orders.length, 2);
  await end(a, new Error('still full'));
  await pass(70_000, a);
  t.equal(a.orders.length, 2, 'the pause has grown');
  await pass(70_000, a);
  await end(a);
  t.equal(log.at(-1), 'a done fleet');
});

await test('a gateway that stops gives its backup up, and the next process makes it at once', async (t) => {
  const { log, node, pass } = fleet(t);
  const a = node('a', false);
  await pass(5000, a);
  await a.scheduler.stop();
  await t.rejects(a.scheduler.begin(), { code: 'backup_failed' });
  const next = node('next', false);
  await pass(5000, next);
  t.same(log, ['a started fleet', 'a gave up fleet', 'next started fleet']);
});

await test('backups that are switched off end the one under way and begin none', async (t) => {
  const { log, node, pass } = fleet(t);
  const a = node('a', false);
  await pass(5000, a);
  const run = a.scheduler.run;
  a.scheduler.configure(undefined);
  await t.rejects(async () => await run?.ended, { code: 'backup_failed' });
  await pass(48 * HOUR, a);
  t.same(log, ['a started fleet', 'a gave up fleet']);
});

await test('an operator begins one at any time, unless one is under way anywhere', async (t) => {
  const { node, pass } = fleet(t);
  const [a, b] = [node('a'), node('b')];
  await pass(5000, a);
  await end(a);
  const run = await b.scheduler.begin();
  await t.rejects(b.scheduler.begin(), { code: 'backup_failed', message: /under way already, on b/ });
  await t.rejects(a.scheduler.begin(), { code: 'backup_failed', message: /under way already, on b/ });
  b.orders.at(-1)?.onProgress({ phase: 'writing', bytes: 7 });
  t.same(run.progress, { phase: 'writing', bytes: 7 });
  await end(b);
  t.match(await run.ended, { archive: '2.age' });
});

await test('a store that takes nothing fails what is due at once and then once a minute, until it has room', async (t) => {
  const { clock, log, node, pass, disk } = fleet(t);
  const a = node('a', false);
  await pass(5000, a);
  await end(a);
  disk.isFull = true;
  await t.rejects(a.scheduler.begin(), { code: 'store_unavailable' });
  clock.advance(24 * HOUR);
  for (let ticks = 0; ticks < 24; ticks += 1) {
    clock.advance(5000);
    await a.scheduler.tick().catch(() => undefined);
  }
  const failed = 'a failed fleet 0 GatewayError: the disk is full';
  t.same(log.slice(2), [failed, failed, failed], 'the one that was asked for, and two in two minutes');
  disk.isFull = false;
  await pass(60_000, a);
  t.same(log.slice(5), ['a started fleet']);
});
