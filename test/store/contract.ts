import { test } from 'tap';
import { ManualClock } from '../support/manual-clock.ts';
import { LIMITS, byText, checksOn, family } from './contract-bench.ts';
import type { OpenStore } from './contract-bench.ts';
import { endsContract } from './contract-ends.ts';

/** Everything that a session store must do, whatever it is built on. */
export function sessionStoreContract(open: OpenStore): void {
  const check = checksOn(open);
  endsContract(check);

  check('a family comes back as it was put in', async (t, { store, clock }) => {
    const given = family('a', clock.now(), { person: 'anna', jar: Buffer.from('jar'), jarVersion: 3 });
    await store.create(given, 10);
    const answer = await store.use('a', 'first', false, LIMITS);
    t.equal(answer?.outcome, 'ok');
    t.same(
      { ...answer?.family, profile: undefined, jar: undefined },
      { ...given, profile: undefined, jar: undefined },
    );
    t.same(Buffer.from(answer?.family.profile ?? []), given.profile);
    t.same(Buffer.from(answer?.family.jar ?? []), given.jar);
  });

  check('an unknown family is unknown to every question', async (t, { store }) => {
    t.equal(await store.use('x', 'first', false, LIMITS), undefined);
    t.equal(await store.issue('x', 'first', 'second', LIMITS), undefined);
    t.equal(await store.replaceJar('x', Buffer.from('jar'), 0), false);
    t.equal(await store.end('x', 'logout'), false);
    await store.touch('x', 1);
    await store.expire('x', LIMITS);
    t.equal(await store.count(), 0);
  });

  check(
    'a rotation is remembered: issued, confirmed, the old id in flight and then reuse',
    async (t, bench) => {
      const { store, clock, ends } = bench;
      await store.create(family('a', clock.now()), 10);
      t.equal((await store.issue('a', 'first', 'early', LIMITS))?.outcome, 'no');
      clock.advance(LIMITS.rotateEveryMs);
      t.equal((await store.use('a', 'first', false, LIMITS))?.outcome, 'ok_due');
      t.equal((await store.issue('a', 'first', 'second', LIMITS))?.outcome, 'set');
      t.equal((await store.issue('a', 'first', 'third', LIMITS))?.outcome, 'no');
      const confirmed = await store.use('a', 'second', false, LIMITS);
      t.equal(confirmed?.outcome, 'ok_confirm');
      t.equal(confirmed?.family.state.generation, 1);
      t.equal((await store.use('a', 'first', false, LIMITS))?.outcome, 'ok_inflight');
      clock.advance(LIMITS.graceMs + 1);
      const reuse = await store.use('a', 'first', false, LIMITS);
      t.equal(reuse?.outcome, 'reuse');
      t.match(
        Buffer.from(reuse?.family.profile ?? []).toString(),
        'profile of a',
        'the verdict knows whose it was',
      );
      t.same(ends, [['a', 'reuse']]);
      t.equal((await store.use('a', 'second', false, LIMITS))?.outcome, 'dead');
    },
  );

  check('one candidate presented at the same instant by two requests is confirmed once', async (t, bench) => {
    const { store, clock } = bench;
    await store.create(family('a', clock.now()), 10);
    clock.advance(LIMITS.rotateEveryMs);
    await store.issue('a', 'first', 'second', LIMITS);
    const answers = await Promise.all([
      store.use('a', 'second', false, LIMITS),
      store.use('a', 'second', false, LIMITS),
    ]);
    t.same(answers.map((answer) => String(answer?.outcome)).toSorted(byText), ['ok', 'ok_confirm']);
    t.equal(answers[1]?.family.state.generation, 1);
  });

  check('of issues for the same parent at the same instant one is set', async (t, { store, clock }) => {
    await store.create(family('a', clock.now()), 10);
    clock.advance(LIMITS.rotateEveryMs);
    const children = ['b', 'c', 'd', 'e'];
    const answers = await Promise.all(children.map((child) => store.issue('a', 'first', child, LIMITS)));
    t.equal(answers.filter((answer) => answer?.outcome === 'set').length, 1);
  });

  check('a jar is replaced only from the version that it was read at', async (t, { store, clock }) => {
    await store.create(family('a', clock.now()), 10);
    t.equal(await store.replaceJar('a', Buffer.from('one'), 0), true);
    t.equal(await store.replaceJar('a', Buffer.from('late'), 0), false);
    const raced = await Promise.all(
      ['x', 'y', 'z'].map((text) => store.replaceJar('a', Buffer.from(text), 1)),
    );
    t.equal(raced.filter(Boolean).length, 1);
    const answer = await store.use('a', 'first', false, LIMITS);
    t.equal(answer?.family.jarVersion, 2);
    t.equal(Buffer.from(answer?.family.jar ?? []).toString(), 'xyz'[raced.indexOf(true)]);
  });

  check('touching moves activity forward, never back and never into the future', async (t, bench) => {
    const { store, clock } = bench;
    await store.create(family('a', clock.now()), 10);
    const start = clock.now();
    const seen = async (): Promise<number | undefined> => (await store.list())[0]?.state.seenMs;
    clock.advance(1000);
    await store.touch('a', start + 500);
    t.equal(await seen(), start + 500);
    await store.touch('a', start + 100);
    t.equal(await seen(), start + 500);
    await store.touch('a', start + 99_999);
    t.equal(await seen(), start + 1000);
  });

  void test('a closed store is unavailable, it does not say no', async (t) => {
    const clock = new ManualClock();
    const store = await open(clock, t.testdir({}));
    await store.create(family('a', clock.now()), 10);
    await store.close();
    const unavailable = { code: 'store_unavailable', retryAfterSeconds: 1 };
    await t.rejects(store.use('a', 'first', false, LIMITS), unavailable);
    await t.rejects(store.issue('a', 'first', 'b', LIMITS), unavailable);
    await t.rejects(store.end('a', 'logout'), unavailable);
    await t.rejects(store.replaceJar('a', Buffer.alloc(1), 0), unavailable);
    await t.rejects(store.list(), unavailable);
  });
}
