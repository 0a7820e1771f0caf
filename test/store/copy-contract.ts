import type { Test } from 'tap';

import type { KeyStore } from '../../gateway/store/key-store.ts';
import type { StoredRecord } from '../../gateway/store/record-store.ts';
import type { CopiedKey, StoreCopy, StoreLoad, Tombstone } from '../../gateway/store/store-copy.ts';

/** A store that is filled and copied; the gateway's own way into it is opened by `refused`. */
interface CopiedStore {
  copy: () => Promise<StoreCopy>;
  load: () => Promise<StoreLoad>;
  /** Opens the store as a gateway does. */
  serve: () => Promise<{ readonly keys: KeyStore; readonly close: () => Promise<void> }>;
}

const KEYS: readonly CopiedKey[] = Array.from({ length: 450 }, (_, index) => ({
  // Letters of both cases and other signs: the order must be the same in every store.
  lineage: `${'bA-_9zZ'.charAt(index % 7)}${String(index).padStart(11, '0')}`,
  version: 1 + (index % 3),
  person: `person-${index % 40}`,
  dueMs: 1_000_000 + index,
  body: Buffer.from([index & 255, 0, 255, 10, 13]),
  ...(index % 5 === 0 ? { use: { atMs: index, sealed: Buffer.from(`use ${index}`) } } : {}),
}));
const RECORDS: readonly StoredRecord[] = [
  { kind: 'admin', id: 'list', version: 3, body: Buffer.from('two people') },
  { kind: 'proposal', id: 'restore', version: 9, body: Buffer.from([0, 1, 2]) },
  { kind: 'region', id: 'spb', version: 1, body: Buffer.from('sealed') },
];
const SESSIONS: readonly Tombstone[] = [1, 2, 3].map((number) => ({
  id: `session-${number}`.padEnd(22, 'x'),
  createdMs: Date.now() - 1000,
  endsMs: Date.now() + 3_600_000,
  generation: number,
}));

async function fill(load: StoreLoad): Promise<void> {
  await load.putRecords(RECORDS);
  await load.putKeys(KEYS);
  await load.putSessions(SESSIONS);
}

async function gather<T>(found: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const each of found) all.push(each);
  return all;
}

const ordered = KEYS.toSorted((one, other) => (one.lineage < other.lineage ? -1 : 1));
const plainKey = ({ body, use, ...rest }: CopiedKey) => ({
  ...rest,
  body: Buffer.from(body).toString('hex'),
  use: use === undefined ? '' : Buffer.from(use.sealed).toString(),
});
const plainRecord = ({ body, ...rest }: StoredRecord) => ({
  ...rest,
  body: Buffer.from(body).toString('hex'),
});

/** What copying and filling a store must do; run over each of them, on an empty one. */
export async function storeCopyContract(tests: Test, { copy, load, serve }: CopiedStore): Promise<void> {
  await tests.test(
    'no gateway starts on a store that is half filled, and a second try begins anew',
    async (t) => {
      const first = await load();
      t.ok(await first.isEmpty());
      t.notOk(await first.isUnfinished());
      await first.begin();
      await first.putKeys([{ ...KEYS[0], version: 99, lineage: 'left-over000' } as CopiedKey]);
      await first.close();
      await t.rejects(serve(), { code: 'store_unavailable', message: /run the restore again/ });

      const second = await load();
      t.ok(await second.isUnfinished());
      await second.begin();
      await fill(second);
      await second.finish();
      await second.close();
      await (await serve()).close();
    },
  );

  await tests.test('what was filled in is read back whole and in order', async (t) => {
    const read = await copy();
    t.same((await gather(read.keys())).map(plainKey), ordered.map(plainKey));
    t.same((await gather(read.records())).map(plainRecord), RECORDS.map(plainRecord));
    t.same(await gather(read.sessions()), SESSIONS);
    await read.close();
  });

  await tests.test(
    'a store that holds something is not written over unless it is to be replaced',
    async (t) => {
      const other = await load();
      t.notOk(await other.isEmpty());
      await t.rejects(other.begin(), { message: /not empty/ });
      await other.begin({ replace: true });
      await fill(other);
      const [key] = KEYS;
      const [record] = RECORDS;
      if (key === undefined || record === undefined) throw new Error('there are no keys');
      await other.putKeys([{ ...key, version: 7, body: Buffer.from('later') }]);
      await other.putKeys([{ ...key, version: 6, body: Buffer.from('earlier') }]);
      await other.putRecords([{ ...record, version: 2, body: Buffer.from('earlier') }]);
      await other.finish();
      await other.close();
      const read = await copy();
      const found = (await gather(read.keys())).find(({ lineage }) => lineage === key.lineage);
      t.equal(Buffer.from(found?.body ?? []).toString(), 'later', 'of two versions the higher one stays');
      t.equal((await gather(read.records()))[0]?.version, 3);
      await read.close();
    },
  );

  await tests.test(
    'what changes after a load is told from where the load ended, and nothing else',
    async (t) => {
      const other = await load();
      await other.begin({ replace: true });
      await fill(other);
      const cursor = await other.changesCursor();
      await other.finish();
      await other.close();
      const served = await serve();
      t.teardown(() => served.close());
      const { keys } = served;
      t.same((await keys.changes(cursor)).keys, []);
      const [key] = await keys.list();
      if (key === undefined) throw new Error('there are no keys');
      await keys.write({ ...key, version: key.version + 1 });
      const { keys: changed } = await keys.changes(cursor);
      t.same(
        changed.map(({ lineage }) => lineage),
        [key.lineage],
      );
    },
  );
}
