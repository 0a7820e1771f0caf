import type { Test } from 'tap';

import type { KeyStore, StoredKey } from '../../gateway/store/key-store.ts';

let numbers = 0;

/** A key that no other test knows. */
function newKey(changes: Partial<StoredKey> = {}): StoredKey {
  numbers += 1;
  const lineage = `L${String(numbers).padStart(11, '0')}`;
  return {
    lineage,
    version: 1,
    person: `person-${numbers}`,
    dueMs: 1000,
    body: Buffer.from(lineage),
    ...changes,
  };
}

/** Everything that a store of keys must do; run over each of them. @param open a second view on the same keys. */
export async function keyStoreContract(
  tests: Test,
  store: KeyStore,
  open: () => Promise<KeyStore>,
): Promise<void> {
  await tests.test('a key is read as it was written, and nobody else is', async (t) => {
    const key = newKey();
    t.equal(await store.write(key), true);
    const read = await store.read(key.lineage);
    t.match(read, { lineage: key.lineage, version: 1, person: key.person, dueMs: 1000 });
    t.same(Buffer.from(read?.body ?? []), key.body);
    t.equal(await store.read('nobody000000'), undefined);
  });

  await tests.test('a change is taken from the version before and from no other', async (t) => {
    const key = newKey();
    t.equal(await store.write({ ...key, version: 2 }), false, 'there is none yet');
    t.equal(await store.write(key), true);
    t.equal(await store.write(key), false, 'there is one already');
    t.equal(await store.write({ ...key, version: 3 }), false);
    t.equal(await store.write({ ...key, version: 2, body: Buffer.from('second') }), true);
    t.equal((await store.read(key.lineage))?.version, 2);
    t.equal(await store.forget(key.lineage, 1), false, 'somebody changed it');
    t.equal(await store.forget(key.lineage, 2), true);
    t.equal(await store.read(key.lineage), undefined);
  });

  await tests.test('of many who change one key at once exactly one wins', async (t) => {
    const other = await open();
    const key = newKey();
    await store.write(key);
    for (let version = 2; version < 12; version += 1) {
      const tries = Array.from({ length: 10 }, (_, index) =>
        (index % 2 === 0 ? store : other).write({
          ...key,
          version,
          body: Buffer.from(`${version}-${index}`),
        }),
      );
      const won = await Promise.all(tries);
      t.equal(won.filter(Boolean).length, 1);
      const body = Buffer.from((await other.read(key.lineage))?.body ?? []).toString();
      t.equal(body, `${version}-${won.indexOf(true)}`, 'and it is the one that says so');
    }
  });

  await tests.test('keys are found by their person and in the list', async (t) => {
    const [one, two] = [newKey({ person: 'vera' }), newKey({ person: 'vera' })];
    const other = newKey({ person: 'oleg' });
    for (const key of [one, two, other]) await store.write(key);
    const lineages = async (found: Promise<StoredKey[]>) =>
      new Set((await found).map(({ lineage }) => lineage));
    t.same(await lineages(store.ofPerson('vera')), new Set([one.lineage, two.lineage]));
    await store.forget(two.lineage, 1);
    t.same(await lineages(store.ofPerson('vera')), new Set([one.lineage]));
    t.same(await lineages(store.ofPerson('nobody')), new Set());
    const all = await lineages(store.list());
    t.ok(all.has(one.lineage) && all.has(other.lineage));
    t.notOk(all.has(two.lineage));
  });

  await tests.test(
    'keys whose time has come are found, the most overdue first, until they were seen to',
    async (t) => {
      const [late, later, future] = [newKey({ dueMs: 20 }), newKey({ dueMs: 10 }), newKey({ dueMs: 5000 })];
      for (const key of [late, later, future]) await store.write(key);
      const due = async (nowMs: number): Promise<string[]> =>
        (await store.due(nowMs, 1000)).map(({ lineage }) => lineage);
      t.same(await due(20), [later.lineage, late.lineage]);
      t.same(await due(9), []);
      t.same((await store.due(20, 1)).length, 1);
      await store.write({ ...later, version: 2, dueMs: 9000 });
      t.same(await due(20), [late.lineage]);
      await store.write({ ...future, version: 2, dueMs: 15 });
      t.same(await due(20), [future.lineage, late.lineage], 'also when it is earlier than before');
      for (const [key, version] of [
        [late, 1],
        [later, 2],
        [future, 2],
      ] as const) {
        await store.forget(key.lineage, version);
      }
      t.same(await due(20), []);
    },
  );

  await tests.test('the last use is kept beside the key and changes nothing of it', async (t) => {
    const [one, two] = [newKey(), newKey()];
    await store.write(one);
    await store.write(two);
    await store.noteUse(one.lineage, 10, Buffer.from('ten'));
    await store.noteUse(one.lineage, 20, Buffer.from('twenty'));
    const [used, unused] = await store.uses([one.lineage, two.lineage]);
    t.equal(Buffer.from(used ?? []).toString(), 'twenty');
    t.equal(unused, undefined);
    t.equal((await store.read(one.lineage))?.version, 1);
  });

  await tests.test('a change is told here and to others who look', async (t) => {
    const other = await open();
    const key = newKey();
    await store.write(key);
    const until = async (holds: () => boolean): Promise<void> => {
      while (!holds()) await new Promise((resolve) => setImmediate(resolve));
    };
    await until(() => store.isFresh() && other.isFresh());
    const [here, there]: [Set<unknown>, Set<unknown>] = [new Set(), new Set()];
    const stops = [
      store.onChange((lineage) => here.add(lineage)),
      other.onChange((lineage) => there.add(lineage)),
    ];
    await store.write({ ...key, version: 2 });
    t.ok(here.has(key.lineage), 'at once where it was made');
    await until(() => {
      other.isFresh();
      return there.has(key.lineage) || there.has(undefined);
    });
    t.pass('and elsewhere');
    for (const stop of stops) stop();
  });

  await tests.test('a journal finds every change from where it was, once there is a cursor', async (t) => {
    const other = await open();
    const before = newKey();
    await store.write(before);
    const start = await store.changes(undefined);
    t.same(start.keys, [], 'nothing before now');
    const [one, two] = [newKey(), newKey()];
    await store.write(one);
    await other.write(two);
    await other.write({ ...one, version: 2, body: Buffer.from('again') });
    const found = await store.changes(start.cursor);
    const versions = new Map(found.keys.map(({ lineage, version }) => [lineage, version]));
    t.equal(versions.get(one.lineage), 2, 'as it is now');
    t.equal(versions.get(two.lineage), 1, 'whoever wrote it');
    await other.write({ ...two, version: 2 });
    const next = await other.changes(found.cursor);
    t.equal(next.keys.find(({ lineage }) => lineage === two.lineage)?.version, 2, 'from any process');
    await other.forget(two.lineage, 2);
    const last = await store.changes(next.cursor);
    t.notOk(last.keys.some(({ lineage }) => lineage === two.lineage));
    t.same((await store.changes('of another store')).keys, []);
  });

  await tests.test('more changes than one answer holds are all found', async (t) => {
    const { cursor: start } = await store.changes(undefined);
    const keys = Array.from({ length: 1200 }, () => newKey());
    await Promise.all(keys.map((key) => store.write(key)));
    const found = new Set<string>();
    let cursor = start;
    for (let calls = 0; calls < 5; calls += 1) {
      const answer = await store.changes(cursor);
      ({ cursor } = answer);
      for (const { lineage } of answer.keys) found.add(lineage);
    }
    t.ok(keys.every(({ lineage }) => found.has(lineage)));
  });
}
