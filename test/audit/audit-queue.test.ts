import { test } from 'tap';
import { type AuditEntry, AuditQueue, type AuditQueueOptions } from '../../gateway/audit/audit-queue.ts';
import { ManualClock } from '../support/manual-clock.ts';

/** A place to write that fails or hangs as a disk does. */
class Disk {
  readonly entries: AuditEntry[] = [];
  state: 'good' | 'full' = 'good';
  batches = 0;
  readonly isDue = false;
  /** While set, a write waits for it. */
  hold: Promise<void> | undefined;

  async append(entries: readonly AuditEntry[]): Promise<number> {
    await this.hold;
    if (this.state === 'full') throw new Error('ENOSPC');
    this.batches += 1;
    const first = this.entries.length + 1;
    this.entries.push(...entries);
    return first;
  }

  async finish(): Promise<void> {
    await this.hold;
  }

  get events(): string[] {
    return this.entries.map(({ event }) => event);
  }
}

function openQueue(more: Partial<AuditQueueOptions> = {}) {
  const disk = new Disk();
  const clock = new ManualClock();
  const seen = { written: 0, lost: 0, failed: 0, recovered: 0 };
  const queue = new AuditQueue({
    writer: disk,
    clock,
    observer: {
      written: (count) => (seen.written += count),
      lost: (count) => (seen.lost += count),
      failed: () => (seen.failed += 1),
      recovered: () => (seen.recovered += 1),
    },
    ...more,
  });
  return { disk, clock, seen, queue };
}

void test('events are written in their order, many with one write', async (t) => {
  const { disk, queue, seen } = openQueue();
  for (let index = 0; index < 100; index += 1) queue.note({ event: `e${index}` });
  await queue.commit({ event: 'operation' });
  t.strictSame(disk.events, [...Array.from({ length: 100 }, (_, index) => `e${index}`), 'operation']);
  t.equal(disk.batches, 1);
  t.equal(seen.written, 101);
  await queue.close(100);
});

void test('an operation is refused when its record cannot be written, and leaves none behind', async (t) => {
  const { disk, queue, seen } = openQueue();
  disk.state = 'full';
  queue.note({ event: 'sign-in' });
  await t.rejects(queue.commit({ event: 'operation' }), { code: 'audit_unavailable', status: 503 });
  t.equal(seen.failed, 1);
  disk.state = 'good';
  await queue.commit({ event: 'operation again' });
  t.strictSame(disk.events, ['sign-in', 'operation again'], 'what was only noted is written once it can be');
  t.equal(seen.recovered, 1);
  t.equal(seen.lost, 0);
  await queue.close(100);
});

void test('what is lost is counted, and the trail says how much is missing', async (t) => {
  const { disk, queue, seen } = openQueue({ waitingLimit: 3 });
  disk.state = 'full';
  await t.rejects(queue.commit({ event: 'first try' }));
  for (let index = 0; index < 5; index += 1) queue.note({ event: `e${index}` });
  t.equal(seen.lost, 2);
  disk.state = 'good';
  await queue.commit({ event: 'operation' });
  await queue.close(100);
  t.strictSame(disk.events, ['e0', 'e1', 'e2', 'operation', 'trail.gap']);
  t.strictSame(disk.entries.at(-1)?.facts, { lost: 2 });
});

void test('a disk that hangs refuses operations in time, and a record that comes too late is taken back', async (t) => {
  const { disk, queue } = openQueue({ commitMs: 20 });
  const { promise, resolve } = Promise.withResolvers<void>();
  disk.hold = promise;
  const first = queue.commit({ event: 'held' });
  await t.rejects(first, { code: 'audit_unavailable' });
  const startMs = performance.now();
  for (let index = 0; index < 1000; index += 1) queue.note({ event: 'traffic' });
  t.ok(performance.now() - startMs < 500, 'nobody waits for it');
  await t.rejects(queue.commit({ event: 'never begun' }), { code: 'audit_unavailable' });
  resolve();
  await queue.close(2000);
  t.equal(disk.events[0], 'held');
  t.notOk(disk.events.includes('never begun'));
  t.strictSame(
    disk.entries.find(({ event }) => event === 'trail.withdrawn')?.facts,
    { record: 1 },
    'the trail says that nothing was done under it',
  );
});

void test('what strangers repeat is counted and fills nothing', async (t) => {
  const { disk, clock, queue } = openQueue();
  for (let index = 0; index < 5000; index += 1)
    queue.note({ event: 'admin.refused', repeats: 'a', facts: { client: 'a' } });
  for (let index = 0; index < 3000; index += 1)
    queue.note({ event: 'admin.refused', repeats: `b${index}`, facts: {} });
  clock.advance(60_000);
  await queue.close(100);
  t.ok(disk.entries.length < 1100, `${disk.entries.length} records`);
  const times = disk.entries.map(({ facts }) => Number(facts['times'] ?? 1));
  t.equal(
    times.reduce((sum, each) => sum + each),
    8000,
    'every one is counted',
  );
});

void test('what comes after the end is lost and counted, and refused where somebody waits', async (t) => {
  const { queue, seen, disk } = openQueue();
  queue.note({ event: 'last' });
  await queue.close(100);
  t.strictSame(disk.events, ['last']);
  queue.note({ event: 'late' });
  await t.rejects(queue.commit({ event: 'late' }), { code: 'audit_unavailable' });
  t.equal(seen.lost, 1);
});
