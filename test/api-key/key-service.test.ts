import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';

import { temporaryDirectory } from '../support/start-gateway.ts';
import { CLIENT, DAY_MS, openKeyBench, verdictOf } from './key-bench.ts';

const newFile = (): string => join(temporaryDirectory(), 'keys.db');
const ANNA = { account: 'acme', subject: 'anna' };

await test('a key opens doors until it is revoked, and says so precisely to its holder only', async (t) => {
  const { keys, heard } = openKeyBench(newFile());
  const { id, key, expires_at: expires } = await keys.issue({ ...ANNA, label: 'stock' });
  t.equal(expires, '2027-05-24T00:00:00.000Z');
  const verdict = await keys.verify(key, CLIENT);
  t.match(verdict, {
    kind: 'live',
    key: { id, ...ANNA, label: 'stock', warning: undefined, stopped: false },
  });
  const other = await keys.issue(ANNA);
  // The id of one, with the secret of the other: no secret of this key.
  const crossed = await openKeyBench(newFile()).keys.issue(ANNA);
  t.equal(await verdictOf(keys, crossed.key), 'key_unknown');
  t.equal(await verdictOf(keys, `${key.slice(0, -1)}!`), 'key_malformed');
  t.equal(await keys.revoke(id), true);
  t.equal(await verdictOf(keys, key), 'key_revoked');
  t.equal(await keys.revoke(id), false);
  t.equal(await verdictOf(keys, other.key), 'live');
  t.same(heard, [
    'rejected key_unknown',
    'rejected key_malformed',
    'rejected key_revoked',
    'replayed key_revoked',
  ]);
});

await test('a known key costs no store trip, a cold one costs one, a malformed one none', async (t) => {
  const bench = openKeyBench(newFile());
  const { keys } = bench;
  const { key } = await keys.issue(ANNA);
  const before = bench.reads();
  await verdictOf(keys, key);
  t.equal(bench.reads() - before, 1);
  for (let call = 0; call < 1000; call += 1) t.notOk(keys.verify(key, CLIENT) instanceof Promise);
  for (let call = 0; call < 1000; call += 1) await verdictOf(keys, `zsv_${'x'.repeat(14)}_${'y'.repeat(38)}`);
  t.equal(bench.reads() - before, 1);
});

await test('the old secret stops at once with a rotation, or after the overlap', async (t) => {
  const { keys, clock } = openKeyBench(newFile());
  const first = await keys.issue(ANNA);
  const second = await keys.rotate(first.id, 0);
  t.equal(await verdictOf(keys, first.key), 'key_rotated');
  t.equal(await verdictOf(keys, second?.key ?? ''), 'live');
  t.equal(await keys.rotate(first.id, 0), undefined, 'it is not the newest any more');
  const third = await keys.rotate(second?.id ?? '', DAY_MS);
  t.match(await keys.verify(second?.key ?? '', CLIENT), {
    kind: 'live',
    key: { warning: { sunset: /GMT$/ } },
  });
  clock.advance(DAY_MS);
  t.equal(await verdictOf(keys, second?.key ?? ''), 'key_rotated');
  t.equal(await verdictOf(keys, third?.key ?? ''), 'live');
  const states = (await keys.list(ANNA)).map(({ state }) => state);
  t.same(states, ['active', 'rotated', 'rotated']);
});

await test('a key warns before its end, then rotates by itself and waits for its owner, who collects once', async (t) => {
  const { keys, clock, heard } = openKeyBench(newFile());
  const { id, key } = await keys.issue(ANNA);
  const end = Date.parse('2027-05-24T00:00:00.000Z');
  for (const days of [31, 30, 29, 14, 7, 1]) {
    clock.advance(end - days * DAY_MS - clock.now());
    await keys.tick(undefined);
    const warning = days > 30 ? undefined : { expires: '2027-05-24T00:00:00.000Z' };
    t.match(await keys.verify(key, CLIENT), { kind: 'live', key: { warning } }, `${days} days`);
  }
  t.same(heard, ['warned 30', 'warned 14', 'warned 7', 'warned 1']);
  clock.advance(DAY_MS);
  t.equal(await verdictOf(keys, key), 'key_expired', 'also before anybody did a round');
  await keys.tick(undefined);
  t.equal(await verdictOf(keys, key), 'key_rotated');
  const [row] = await keys.list(ANNA);
  t.match(row, { state: 'active', waiting: true, expires_at: '2027-11-24T00:00:00.000Z' });
  const nextId = String(row?.id);
  t.equal(await keys.collect(nextId, 'acme', 'boris'), undefined, 'it is not his');
  t.equal(await keys.collect(nextId, 'other', 'anna'), undefined);
  t.equal(await keys.collect(id, 'acme', 'anna'), undefined, 'the old one does not wait');
  const collected = await keys.collect(nextId, 'acme', 'Anna');
  t.equal(await verdictOf(keys, collected?.key ?? ''), 'live');
  t.equal(await keys.collect(nextId, 'acme', 'anna'), undefined, 'once');
});

await test('a downtime is caught up by the first round, with one warning or one rotation', async (t) => {
  const file = newFile();
  const before = openKeyBench(file);
  await before.keys.issue(ANNA);
  before.clock.advance(175 * DAY_MS);
  const after = before.another();
  await after.keys.tick(undefined);
  t.same(after.heard, ['warned 6']);
  before.clock.advance(300 * DAY_MS);
  const later = before.another();
  await later.keys.tick(undefined);
  await later.keys.tick(undefined);
  t.same(later.heard, ['rotated age'], 'its successor is young: it was made now');
});

await test('two nodes that race rotate a key once', async (t) => {
  const one = openKeyBench(newFile());
  const two = one.another();
  for (let round = 0; round < 20; round += 1) await one.keys.issue({ ...ANNA, subject: `p${round}` });
  one.clock.advance(190 * DAY_MS);
  await Promise.all([one.keys.tick(undefined), two.keys.tick(undefined), one.keys.tick(undefined)]);
  const rotations = [...one.heard, ...two.heard].filter((each) => each === 'rotated age');
  t.equal(rotations.length, 20);
  t.equal((await one.keys.list({})).filter(({ state }) => state === 'active').length, 20);
});

await test('a change of credentials rotates all keys of that person, without overlap, on every node', async (t) => {
  const one = openKeyBench(newFile(), { overlapMs: 30 * DAY_MS });
  const two = one.another();
  const keys = [await one.keys.issue(ANNA), await one.keys.issue(ANNA)];
  const boris = await one.keys.issue({ account: 'acme', subject: 'boris' });
  const namesake = await one.keys.issue({ account: 'other', subject: 'anna' });
  for (const { key } of [...keys, boris, namesake]) t.equal(await verdictOf(two.keys, key), 'live');
  t.equal(await one.keys.credentialsChanged('acme', 'ANNA'), 2);
  for (const node of [one, two]) {
    for (const { key } of keys) t.equal(await verdictOf(node.keys, key), 'key_rotated');
    t.equal(await verdictOf(node.keys, boris.key), 'live');
    t.equal(await verdictOf(node.keys, namesake.key), 'live');
  }
  t.equal((await one.keys.list(ANNA)).filter(({ waiting }) => waiting).length, 2);
  const without = openKeyBench(newFile(), { rotateOn: { age: true, credentialChange: false } });
  await without.keys.issue(ANNA);
  t.equal(await without.keys.credentialsChanged('acme', 'anna'), 0);
});

await test('streams close with the key that they came with, whichever node ends it', async (t) => {
  const one = openKeyBench(newFile());
  const two = one.another();
  const { id, key } = await one.keys.issue(ANNA);
  const closed: string[] = [];
  for (const [name, node] of Object.entries({ one, two })) {
    const verdict = await node.keys.verify(key, CLIENT);
    if (verdict.kind !== 'live') return t.fail('the key works');
    node.keys.attach(verdict.key, { close: () => closed.push(name) });
    node.keys.attach(verdict.key, { close: () => closed.push('taken off') })();
  }
  await one.keys.revoke(id);
  await two.keys.tick(undefined);
  t.same(closed.toSorted(), ['one', 'two']);
});

await test('while a change of credentials is held up, the keys of that person are neither taken nor called wrong', async (t) => {
  const { keys } = openKeyBench(newFile());
  const { key } = await keys.issue(ANNA);
  const boris = await keys.issue({ account: 'acme', subject: 'boris' });
  t.equal(await verdictOf(keys, key), 'live');
  const release = keys.hold('acme', 'Anna');
  await t.rejects(verdictOf(keys, key), { code: 'store_unavailable' });
  t.equal(await verdictOf(keys, boris.key), 'live');
  release();
  t.equal(await verdictOf(keys, key), 'live');
});

await test('a key from elsewhere goes on under its own text, if the policy takes such, and is then replaced', async (t) => {
  const bench = openKeyBench(newFile(), { acceptsImported: true });
  const { keys, clock } = bench;
  const text = 'legacy-key-0123456789-abcdef';
  const { id } = await keys.issue({ ...ANNA, imported: text });
  t.match(await keys.verify(text, CLIENT), { kind: 'live', key: { id } });
  t.equal(await verdictOf(keys, 'legacy-key-0123456789-abcdeF'), 'key_unknown');
  await t.rejects(keys.issue({ ...ANNA, imported: text }), { code: 'key_malformed' });
  await t.rejects(keys.issue({ ...ANNA, imported: 'short' }), { code: 'key_malformed' });
  clock.advance(200 * DAY_MS);
  await keys.tick(undefined);
  t.equal(await verdictOf(keys, text), 'key_rotated');
  const closed = openKeyBench(newFile());
  const before = closed.reads();
  t.equal(await verdictOf(closed.keys, text), 'key_malformed');
  t.equal(closed.reads(), before);
  t.ok(bench.reads() > 0);
});

await test('the store holds no secret, no name and no credential of the CRM', async (t) => {
  const file = newFile();
  const { keys, store, clock } = openKeyBench(file);
  const request = { account: 'acme-secret', subject: 'anna-secret', label: 'label-secret' };
  const issued = await keys.issue({ ...request, upstreamCredential: 'crm-credential' });
  await verdictOf(keys, issued.key);
  clock.advance(190 * DAY_MS);
  await keys.tick(undefined);
  const waiting = (await keys.list({})).find((row) => row.waiting);
  const bytes = readdirSync(join(file, '..'))
    .map((name) => readFileSync(join(file, '..', name), 'latin1'))
    .join('\n');
  const next = await keys.collect(waiting?.id ?? '', request.account, request.subject);
  store.close();
  for (const key of [issued.key, next?.key ?? 'none']) {
    const [, , secret = 'none'] = key.split('_');
    t.equal(secret.length, 38);
    t.notOk(bytes.includes(secret.slice(0, 32)));
    t.notOk(bytes.includes(secret.slice(0, 12)));
  }
  for (const text of ['acme-secret', 'anna-secret', 'label-secret', 'crm-credential', CLIENT.userAgent])
    t.notOk(bytes.includes(text), text);
  t.ok(bytes.includes(issued.id.slice(0, 12)), 'the id is there, so the right bytes were looked at');
});

await test('notices are delivered at least once, under one id, by one node, with the successor that waits', async (t) => {
  const one = openKeyBench(newFile(), { hasWebhook: true });
  const two = one.another();
  await one.keys.issue(ANNA);
  const calls: string[] = [];
  let isUp = false;
  const deliver = async (notice: { id: string; type: string }, successor: { key: string } | undefined) => {
    calls.push(`${notice.type} ${notice.id} ${successor === undefined ? 'alone' : 'with successor'}`);
    return await Promise.resolve(isUp);
  };
  one.clock.advance(182 * DAY_MS);
  await Promise.all([one.keys.tick(deliver), two.keys.tick(deliver)]);
  one.clock.advance(4000);
  await one.keys.tick(deliver);
  t.equal(calls.length, 1, 'a failed delivery waits for its time');
  one.clock.advance(2000);
  isUp = true;
  await two.keys.tick(deliver);
  t.equal(calls.length, 2);
  t.equal(calls[0], calls[1], 'the same notice again');
  t.match(calls[0], /^key\.(expiring|rotated) msg_/);
  await one.keys.tick(deliver);
  t.equal(calls.length, 2, 'it was taken');
});

await test('who uses a key and when is noted, and counted by state', async (t) => {
  const { keys, clock } = openKeyBench(newFile());
  const { key } = await keys.issue(ANNA);
  t.match((await keys.list(ANNA))[0], { last_used_at: null });
  clock.advance(120_000);
  await verdictOf(keys, key);
  t.match((await keys.list(ANNA))[0], {
    last_used_at: '2026-11-24T00:02:00.000Z',
    last_used_from: '192.0.2.7',
    last_used_agent: 'integration/1.0',
  });
  t.match(await keys.census(), { states: { active: 1, expiring: 0 } });
  clock.advance(160 * DAY_MS);
  const { states, expiringWithinDays } = await keys.census();
  t.match(states, { active: 0, expiring: 1 });
  t.equal(expiringWithinDays.get(30), 1);
  t.equal(expiringWithinDays.get(7), 0);
});
