import type { Test } from 'tap';

import type { RecordStore, StoredRecord } from '../../gateway/store/record-store.ts';

let numbers = 0;

/** A record that no other test knows. */
function newRecord(changes: Partial<StoredRecord> = {}): StoredRecord {
  numbers += 1;
  return {
    kind: 'region',
    id: `r${numbers}`,
    version: 1,
    body: Buffer.from(`${numbers}:\0 body`),
    ...changes,
  };
}

/** Everything that a store of records must do; run over each of them. @param other a second view on the same records. */
export async function recordStoreContract(
  tests: Test,
  store: RecordStore,
  other: RecordStore,
): Promise<void> {
  await tests.test('a record is read as it was written, under its kind and id only', async (t) => {
    const record = newRecord();
    t.equal(await store.write(record), true);
    const read = await other.read('region', record.id);
    t.match(read, { kind: 'region', id: record.id, version: 1 });
    t.same(Buffer.from(read?.body ?? []), record.body);
    t.equal(await store.read('admin', record.id), undefined);
    t.equal(await store.read('region', 'nobody'), undefined);
  });

  await tests.test('a change is taken from the version before and from no other', async (t) => {
    const record = newRecord();
    t.equal(await store.write({ ...record, version: 2 }), false, 'there is none yet');
    t.equal(await store.write(record), true);
    t.equal(await other.write(record), false, 'there is one already');
    t.equal(await store.write({ ...record, version: 3 }), false);
    t.equal(await other.write({ ...record, version: 2, body: Buffer.from('second') }), true);
    t.equal((await store.read('region', record.id))?.version, 2);
    t.equal(await store.forget('region', record.id, 1), false, 'somebody changed it');
    t.equal(await store.forget('region', record.id, 2), true);
    t.equal(await other.read('region', record.id), undefined);
  });

  await tests.test('of many who change one record at once exactly one wins', async (t) => {
    const record = newRecord({ kind: 'proposal' });
    await store.write(record);
    for (let version = 2; version < 12; version += 1) {
      const tries = Array.from({ length: 10 }, (_, index) =>
        (index % 2 === 0 ? store : other).write({ ...record, version, body: Buffer.from(`${index}`) }),
      );
      const won = await Promise.all(tries);
      t.equal(won.filter(Boolean).length, 1);
      const body = Buffer.from((await other.read('proposal', record.id))?.body ?? []).toString();
      t.equal(body, `${won.indexOf(true)}`, 'and it is the one that says so');
    }
  });

  await tests.test('records are listed by their kind, in the order of their ids', async (t) => {
    for (const id of ['b', 'a', 'c']) await store.write(newRecord({ kind: 'lease', id }));
    t.same(
      (await other.list('lease')).map(({ id }) => id),
      ['a', 'b', 'c'],
    );
    t.same(await store.list('admin'), []);
  });

  await tests.test('a change is told here at once, and elsewhere within a second', async (t) => {
    const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
    const [here, there]: [Set<unknown>, Set<unknown>] = [new Set(), new Set()];
    const stops = [store.onChange((kind) => here.add(kind)), other.onChange((kind) => there.add(kind))];
    while (!(store.isFresh() && other.isFresh())) await turn();
    there.clear();
    const startedMs = performance.now();
    await store.write(newRecord({ kind: 'admin' }));
    t.ok(here.has('admin'));
    do {
      await turn();
      other.isFresh();
    } while (!there.has('admin') && !there.has(undefined));
    t.ok(performance.now() - startedMs < 1000);
    for (const stop of stops) stop();
  });
}
