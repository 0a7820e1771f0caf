import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'tap';
import type { Test } from 'tap';
import { familyTransitions } from '../../gateway/session/rotate.ts';
import { openEmbeddedStore } from '../../gateway/store/embedded-store.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { LIMITS, family } from './contract-bench.ts';
import { sessionStoreContract } from './contract.ts';

const freshPath = (t: Test): string => join(t.testdir({}), 'data', 'sessions.db');

sessionStoreContract(async (clock, folder) =>
  openEmbeddedStore(join(folder, 'sessions.db'), familyTransitions, clock),
);

void test('families outlive the store object, and so do their ends', async (t) => {
  const clock = new ManualClock();
  const path = freshPath(t);
  const before = openEmbeddedStore(path, familyTransitions, clock);
  await before.create(family('kept', clock.now()), 10);
  await before.create(family('ended', clock.now()), 10);
  await before.end('ended', 'logout');
  await before.close();
  const after = openEmbeddedStore(path, familyTransitions, clock);
  t.equal((await after.use('kept', 'first', false, LIMITS))?.outcome, 'ok');
  t.equal((await after.use('ended', 'first', false, LIMITS))?.outcome, 'dead');
  await after.close();
});

void test('two stores on one file see each other at once', async (t) => {
  const clock = new ManualClock();
  const path = freshPath(t);
  const one = openEmbeddedStore(path, familyTransitions, clock);
  const two = openEmbeddedStore(path, familyTransitions, clock);
  await one.create(family('a', clock.now()), 10);
  clock.advance(LIMITS.rotateEveryMs);
  const outcomes = await Promise.all([
    one.issue('a', 'first', 'b', LIMITS),
    two.issue('a', 'first', 'c', LIMITS),
  ]);
  t.same(
    outcomes.map((answer) => answer?.outcome),
    ['set', 'no'],
  );
  t.equal(await two.end('a', 'revoked'), true);
  t.equal((await one.use('a', 'first', false, LIMITS))?.outcome, 'dead');
  await one.close();
  await two.close();
});

void test('a store that another process holds locked is unavailable, and works afterwards', async (t) => {
  const clock = new ManualClock();
  const path = freshPath(t);
  const store = openEmbeddedStore(path, familyTransitions, clock);
  await store.create(family('a', clock.now()), 10);
  const other = new DatabaseSync(path);
  other.exec('BEGIN IMMEDIATE');
  await t.rejects(store.use('a', 'first', false, LIMITS), { code: 'store_unavailable' });
  other.exec('ROLLBACK');
  other.close();
  t.equal((await store.use('a', 'first', false, LIMITS))?.outcome, 'ok');
  await store.close();
});

void test('only the owner may read the file', async (t) => {
  const path = freshPath(t);
  const store = openEmbeddedStore(path, familyTransitions, new ManualClock());
  await store.create(family('a', 1), 10);
  for (const name of [path, `${path}-wal`]) t.equal(statSync(name).mode & 0o777, 0o600, name);
  await store.close();
});

const opening = (path: string) => () => openEmbeddedStore(path, familyTransitions, new ManualClock());

void test('a file that is no database is refused by name', async (t) => {
  const path = join(t.testdir({ 'sessions.db': 'not a database, '.repeat(400) }), 'sessions.db');
  t.throws(opening(path), {
    code: 'store_unavailable',
    message: /sessions\.db cannot be opened: .*not a database/,
  });
});

void test('a damaged database is refused, not half read', async (t) => {
  const path = freshPath(t);
  const store = openEmbeddedStore(path, familyTransitions, new ManualClock());
  for (let index = 0; index < 200; index += 1) await store.create(family(`family ${index}`, 1), 10);
  await store.close();
  const bytes = readFileSync(path);
  bytes.fill(0xa5, 8192, 24_576);
  writeFileSync(path, bytes);
  t.throws(opening(path), { code: 'store_unavailable', message: /cannot be opened: .*(damaged|malformed)/ });
});

void test('a file of a newer gateway is refused and left alone', async (t) => {
  const path = freshPath(t);
  await openEmbeddedStore(path, familyTransitions, new ManualClock()).close();
  const database = new DatabaseSync(path);
  database.exec('PRAGMA user_version = 99');
  database.close();
  t.throws(opening(path), { code: 'store_unavailable', message: /newer gateway \(schema 99/ });
});

void test('a path that cannot be written is refused by name', async (t) => {
  const folder = t.testdir({ file: 'in the way' });
  t.throws(opening(join(folder, 'file', 'sessions.db')), {
    code: 'store_unavailable',
    message: /file\/sessions\.db cannot be opened/,
  });
});
