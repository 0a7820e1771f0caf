import { DatabaseSync } from 'node:sqlite';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';

import { createMasterKey, parseKeyring } from '../../gateway/crypto/keyring.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { temporaryDirectory } from '../support/start-gateway.ts';
import { RegionNode, settle, twoNodes } from './region-nodes.ts';

await test('a seal that came while the store was away outlives kill -9 and reaches the others', async (t) => {
  const { nodes, clock } = await twoNodes();
  const [one, other] = nodes;
  t.teardown(() => nodes.forEach((each) => each.close()));
  one.records.isAway = true;
  t.equal(await one.conditions.tighten('msk', 'intrusion'), 'held');
  t.equal(one.conditions.of('msk'), 'sealed');
  t.equal(other.conditions.of('msk'), 'open');
  await one.start();
  t.equal(one.conditions.of('msk'), 'sealed', 'and so is every other region, until the store is heard');
  t.equal(one.conditions.of('spb'), 'sealed');
  one.records.isAway = false;
  await settle(nodes, clock);
  t.equal(one.conditions.of('spb'), 'open');
  t.equal(one.conditions.of('msk'), 'sealed');
  t.equal(other.conditions.of('msk'), 'sealed');
});

await test('a record that somebody without the master key has changed counts as a seal', async (t) => {
  const { nodes, clock, path } = await twoNodes();
  const [one, other] = nodes;
  t.teardown(() => nodes.forEach((each) => each.close()));
  await one.conditions.tighten('msk', 'drain');
  await one.conditions.relieve('msk', 'open');
  await settle(nodes, clock);
  t.equal(other.conditions.of('msk'), 'open');
  const database = new DatabaseSync(path);
  const row = database.prepare("SELECT body FROM records WHERE kind = 'region' AND id = 'msk'").get();
  const body = row?.['body'] as Uint8Array;
  const changed = Buffer.from(body);
  changed[changed.length - 20] = (changed[changed.length - 20] ?? 0) ^ 1;
  const put = database.prepare("UPDATE records SET body = ? WHERE kind = 'region' AND id = 'msk'");
  put.run(changed);
  await settle(nodes, clock);
  t.equal(one.conditions.of('msk'), 'sealed');
  t.strictSame(other.conditions.causes('msk'), ['unreadable']);
  await t.rejects(one.conditions.relieve('msk', 'open'), { code: 'store_unavailable' });
  put.run(body);
  database.close();
  await settle(nodes, clock);
  t.equal(one.conditions.of('msk'), 'sealed', 'also when it is put back');
  await one.conditions.relieve('msk', 'unseal');
  await settle(nodes, clock);
  t.equal(one.conditions.of('msk'), 'open');
  t.equal(other.conditions.of('msk'), 'open');
});

await test('a store that is put back to an earlier state, or emptied, opens no seal', async (t) => {
  const { nodes, clock, path } = await twoNodes();
  const [one, other] = nodes;
  t.teardown(() => nodes.forEach((each) => each.close()));
  await one.conditions.tighten('msk', 'on-battery');
  const database = new DatabaseSync(path);
  t.teardown(() => database.close());
  const old = database.prepare("SELECT body FROM records WHERE kind = 'region'").get()?.[
    'body'
  ] as Uint8Array;
  await one.conditions.tighten('msk', 'tamper');
  await settle(nodes, clock);
  t.equal(other.conditions.of('msk'), 'sealed');
  database.prepare('UPDATE records SET body = ?').run(old);
  await one.start();
  await settle(nodes, clock);
  t.equal(one.conditions.of('msk'), 'sealed');
  database.exec('DELETE FROM records');
  await other.start();
  await settle(nodes, clock);
  t.equal(other.conditions.of('msk'), 'sealed');
  t.equal(database.prepare('SELECT count(*) AS n FROM records').get()?.['n'], 1, 'the store has it again');
});

await test('a condition lives through a change of the master key', async (t) => {
  const clock = new ManualClock();
  const path = join(temporaryDirectory(), 'records.db');
  const [first, second] = ['1', '2'].map((kid) => `${kid}:${createMasterKey().trim().slice(2)}`);
  const conditionUnder = async (...keys: (string | undefined)[]) => {
    const each = await new RegionNode(path, parseKeyring(keys.join('\n')), clock).start();
    await settle([each], clock);
    const condition = each.conditions.of('msk');
    if (keys.length === 1 && condition === 'open') await each.conditions.tighten('msk', 'drain');
    each.close();
    return condition;
  };
  t.equal(await conditionUnder(first), 'open');
  t.equal(await conditionUnder(second, first), 'draining');
  t.equal(await conditionUnder(second), 'draining');
  t.equal(await conditionUnder(first), 'sealed', 'and is closed to whoever lacks the key');
});

await test('nothing on disk or in the store says which regions are closed and why', async (t) => {
  const { nodes, path } = await twoNodes();
  t.teardown(() => nodes.forEach((each) => each.close()));
  await nodes[0].conditions.tighten('msk', 'intrusion');
  const database = new DatabaseSync(path, { readOnly: true });
  const body = database.prepare('SELECT body FROM records').get()?.['body'] as Uint8Array;
  database.close();
  t.notMatch(Buffer.from(body).toString('latin1'), /intrusion|causes/);
  t.ok(readdirSync(join(path, '..')).length > 0);
});
