import { join } from 'node:path';
import { type Test, test } from 'tap';
import { createMasterKey, parseKeyring } from '../../gateway/crypto/keyring.ts';
import { type AlarmBook, createAlarmBook } from '../../gateway/pipeline/alarm-book.ts';
import { openEmbeddedRecords } from '../../gateway/store/embedded-records.ts';
import { ManualClock } from '../support/manual-clock.ts';

const DAY_MS = 86_400_000;
const keyring = parseKeyring(createMasterKey());

function open(t: Test): { book: () => AlarmBook; clock: ManualClock; count: () => Promise<number> } {
  const records = openEmbeddedRecords(join(t.testdir(), 'records.db'));
  t.teardown(() => records.close());
  const clock = new ManualClock(Date.UTC(2026, 10, 24));
  return {
    book: () => createAlarmBook(records, keyring, clock, (error) => t.fail(String(error))),
    clock,
    count: async () => (await records.list('alarm')).length,
  };
}

/** Writing goes on behind; what was noted last is written last. */
async function written(book: AlarmBook, account: string, subject: string, count: number) {
  for (let tries = 0; tries < 1000; tries += 1) {
    const found = await book.of(account, subject);
    if (found.length === count) return found;
    await new Promise((resolve) => setImmediate(resolve));
  }
  return await book.of(account, subject);
}

await test('alarms are their person’s, the newest first, eight at most, and the same key alarms once a day', async (t) => {
  const { book, clock } = open(t);
  const one = book();
  one.note('acme', 'Anna', 'replay', 'k1');
  one.note('acme', 'anna', 'replay', 'k1');
  one.note('acme', 'anna', 'replay', 'k2');
  const keys = (await written(one, 'acme', 'ANNA', 2)).map(({ detail }) => detail);
  t.strictSame(new Set(keys), new Set(['k1', 'k2']));
  t.strictSame(await book().of('other', 'anna'), []);
  for (let count = 0; count < 10; count += 1) {
    clock.advance(1000);
    one.note('acme', 'anna', 'theft');
  }
  const found = await written(one, 'acme', 'anna', 8);
  t.strictSame(
    found.map(({ kind }) => kind),
    Array(8).fill('theft'),
  );
  t.ok((found[0]?.atMs ?? 0) > (found[7]?.atMs ?? 0));
});

await test('two processes that note at once lose nothing', async (t) => {
  const { book } = open(t);
  const [one, two] = [book(), book()];
  one.note('acme', 'anna', 'theft');
  two.note('acme', 'anna', 'moved');
  t.equal((await written(one, 'acme', 'anna', 2)).length, 2);
});

await test('an alarm is shown for 30 days and forgotten then', async (t) => {
  const { book, clock, count } = open(t);
  const one = book();
  one.note('acme', 'anna', 'theft');
  await written(one, 'acme', 'anna', 1);
  clock.advance(30 * DAY_MS);
  t.strictSame(await one.of('acme', 'anna'), []);
  one.note('acme', 'boris', 'theft');
  await written(one, 'acme', 'boris', 1);
  t.equal(await count(), 1);
});
