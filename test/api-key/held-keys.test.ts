/** Keys that a restore put on hold: nothing opens until the operator says so. */
import { join } from 'node:path';
import { test } from 'tap';

import type { IssuedKey } from '../../gateway/api-key/api-key.ts';
import { holdStoredKey } from '../../gateway/api-key/hold-stored-key.ts';
import { KeyVault } from '../../gateway/api-key/key-vault.ts';
import { createMasterKey, parseKeyring } from '../../gateway/crypto/keyring.ts';
import { temporaryDirectory } from '../support/start-gateway.ts';
import { benchVault, CLIENT, DAY_MS, type KeyBench, openKeyBench, verdictOf } from './key-bench.ts';

const newFile = (): string => join(temporaryDirectory(), 'keys.db');
const ANNA = { account: 'acme', subject: 'anna' };

const textOf = (issued: IssuedKey | undefined): string => issued?.key ?? '';

/** Does to every key of a store what a restore does. */
async function holdAll({ store }: KeyBench): Promise<void> {
  for (const stored of await store.list()) await store.write(holdStoredKey(benchVault(), stored, 0));
}

await test('a held key is refused with a code of its own, to its holder only, and is no sign of a theft', async (t) => {
  const bench = openKeyBench(newFile(), { acceptsImported: true });
  const { keys, heard } = bench;
  const { key, id } = await keys.issue(ANNA);
  const text = 'a-key-of-another-program-0001';
  await keys.issue({ ...ANNA, imported: text });
  const verdict = await keys.verify(key, CLIENT);
  let closed = 0;
  if (verdict.kind === 'live') keys.attach(verdict.key, { close: () => (closed += 1) });
  await holdAll(bench);
  t.same(await keys.verify(key, CLIENT), { kind: 'refused', code: 'key_held', id });
  t.equal(closed, 1, 'what the key held open is closed');
  t.equal(await verdictOf(keys, text), 'key_held');
  const crossed = await openKeyBench(newFile()).keys.issue(ANNA);
  t.equal(await verdictOf(keys, crossed.key), 'key_unknown');
  t.same(heard, ['rejected key_held', 'rejected key_held', 'rejected key_unknown']);
  const { states, expiringWithinDays } = await keys.census();
  t.same(states, { active: 0, expiring: 0, held: 2, rotated: 0, expired: 0, revoked: 0 });
  t.same([...expiringWithinDays.values()], [0, 0, 0, 0]);
  t.same(
    (await keys.list(ANNA)).map(({ state }) => state),
    ['held', 'held'],
  );
});

await test('a hold survives rotation by age, at the request of the operator, and on a change of credentials', async (t) => {
  const bench = openKeyBench(newFile());
  const { keys, clock } = bench;
  const first = await keys.issue(ANNA);
  await holdAll(bench);
  const second = await keys.rotate(first.id, DAY_MS);
  t.equal(await verdictOf(keys, first.key), 'key_held', 'in the overlap');
  t.equal(await verdictOf(keys, textOf(second)), 'key_held');
  t.equal(await keys.credentialsChanged('acme', 'anna'), 1);
  const [third] = await keys.list(ANNA);
  const collected = await keys.collect(String(third?.id), 'acme', 'anna');
  t.equal(await verdictOf(keys, textOf(collected)), 'key_held');
  clock.advance(200 * DAY_MS);
  await keys.tick(undefined);
  const [fourth] = await keys.list(ANNA);
  t.not(fourth?.id, third?.id);
  t.match(fourth, { state: 'held', waiting: true });
  t.equal(await verdictOf(keys, textOf(second)), 'key_rotated', 'what is over says so');
  t.equal(await keys.release(String(fourth?.id)), true);
  const last = await keys.collect(String(fourth?.id), 'acme', 'anna');
  t.equal(await verdictOf(keys, textOf(last)), 'live');
});

await test('a released key works at once, on every node, and a key is released once', async (t) => {
  const bench = openKeyBench(newFile());
  const { keys } = bench;
  const mine = await keys.issue(ANNA);
  const other = await keys.issue(ANNA);
  await holdAll(bench);
  const node = bench.another();
  t.equal(await verdictOf(node.keys, mine.key), 'key_held');
  t.equal(await keys.release(mine.id), true);
  t.equal(await verdictOf(keys, mine.key), 'live');
  t.equal(await verdictOf(node.keys, mine.key), 'live');
  t.equal(await verdictOf(keys, other.key), 'key_held', 'and no other');
  t.equal(await keys.release(mine.id), false);
  t.equal(await keys.release('nonsense'), false);
});

await test('a held key can be revoked, and no release brings it back', async (t) => {
  const bench = openKeyBench(newFile());
  const { keys } = bench;
  const { id, key } = await keys.issue(ANNA);
  await holdAll(bench);
  t.equal(await keys.revoke(id), true);
  t.equal(await verdictOf(keys, key), 'key_revoked');
  t.equal(await keys.release(id), false);
  t.same(await keys.releaseSome(10), { released: 0, left: 0 });
  t.equal(await verdictOf(keys, key), 'key_revoked');
});

await test('all keys are released in parts; those that are not on hold are left alone', async (t) => {
  const bench = openKeyBench(newFile());
  const { keys, store } = bench;
  const held: string[] = [];
  for (let count = 0; count < 50; count += 1) held.push((await keys.issue(ANNA)).key);
  const revoked = await keys.issue(ANNA);
  await holdAll(bench);
  await keys.revoke(revoked.id);
  const free = await keys.issue({ ...ANNA, subject: 'boris' });
  const before = (await store.list()).find(({ version }) => version === 1);
  t.same(await keys.releaseSome(20), { released: 19, left: 31 }, 'the newest, with the one that is over');
  t.same(await keys.releaseSome(20), { released: 20, left: 11 });
  t.same(await keys.releaseSome(20), { released: 11, left: 0 });
  t.same(await keys.releaseSome(20), { released: 0, left: 0 });
  for (const key of held) t.equal(await verdictOf(keys, key), 'live');
  t.equal(await verdictOf(keys, revoked.key), 'key_revoked');
  t.equal(await verdictOf(keys, free.key), 'live');
  t.same(await store.read(String(before?.lineage)), before);
});

await test('a release that the store interrupts goes on where it stopped', async (t) => {
  const file = newFile();
  const bench = openKeyBench(file);
  for (let count = 0; count < 40; count += 1) await bench.keys.issue(ANNA);
  await holdAll(bench);
  t.equal((await bench.keys.releaseSome(30)).released, 30);
  bench.store.close();
  await t.rejects(bench.keys.releaseSome(30), { code: 'store_unavailable' });
  t.same(await openKeyBench(file).keys.releaseSome(30), { released: 10, left: 0 });
});

await test('holding a key changes nothing else of it, and a key that cannot be opened stays as it is', async (t) => {
  const { keys, store } = openKeyBench(newFile());
  const { id } = await keys.issue({ ...ANNA, label: 'stock', upstreamCredential: 'theirs' });
  await keys.rotate(id, 0);
  const [stored] = await store.list();
  if (stored === undefined) return t.fail('nothing stored');
  const held = holdStoredKey(benchVault(), stored, 0);
  const { lineage, person, dueMs } = stored;
  t.match(held, { lineage, person, dueMs, version: stored.version + 1 });
  t.same(benchVault().open(held), { ...benchVault().open(stored), held: true });
  const stranger = new KeyVault(parseKeyring(createMasterKey()));
  t.equal(holdStoredKey(stranger, stored, 0), stored);
  return undefined;
});

await test('a key that opens nothing any more is not put on hold, nor is one on hold again', async (t) => {
  const { keys, store, clock } = openKeyBench(newFile());
  const held = async (pastMs: number) => {
    const [stored] = await store.list();
    if (stored === undefined) throw new Error('nothing stored');
    return holdStoredKey(benchVault(), stored, pastMs) === stored ? 'left alone' : 'on hold';
  };
  const first = await keys.issue(ANNA);
  t.equal(await held(clock.now()), 'on hold');
  t.equal(await held(clock.now() + 1000 * DAY_MS), 'left alone', 'it had expired before the snapshot');
  const second = await keys.rotate(first.id, DAY_MS);
  t.equal(await held(clock.now() + DAY_MS), 'on hold', 'the former is over, the newest is not');
  const [stored] = await store.list();
  if (stored !== undefined) await store.write(holdStoredKey(benchVault(), stored, clock.now()));
  t.equal(await held(clock.now()), 'left alone', 'it is on hold already');
  t.ok(await keys.revoke(second?.id ?? ''));
  t.equal(await held(0), 'left alone', 'revoked is revoked, whatever the time');
});
