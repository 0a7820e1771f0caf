import { LIFETIME_MS, LIMITS, byText, family } from './contract-bench.ts';
import type { Bench, Check } from './contract-bench.ts';

const named = (ends: Bench['ends']): string[] => ends.map((end) => end.join(' ')).toSorted(byText);

/** How families end, and that they stay ended. */
export function endsContract(check: Check): void {
  check('an ended family is dead for every question and keeps its first reason', async (t, bench) => {
    const { store, clock, ends } = bench;
    await store.create(family('a', clock.now(), { person: 'anna', jar: Buffer.from('jar') }), 10);
    t.equal(await store.end('a', 'logout'), true);
    t.equal(await store.end('a', 'revoked'), false);
    clock.advance(LIMITS.rotateEveryMs);
    const answer = await store.use('a', 'first', false, LIMITS);
    t.equal(answer?.outcome, 'dead');
    t.equal(answer?.family.state.reason, 'logout');
    t.equal(answer?.family.profile.length, 0, 'nothing personal is kept');
    t.equal(answer?.family.person, undefined);
    t.equal(answer?.family.jar, undefined);
    t.equal((await store.issue('a', 'first', 'second', LIMITS))?.outcome, 'no');
    t.equal(await store.replaceJar('a', Buffer.from('late'), 0), false);
    await store.touch('a', clock.now());
    t.same(await store.list(), []);
    t.equal(await store.count(), 0);
    t.same(ends, [['a', 'logout']]);
  });

  check('an end between any two steps of a rotation wins', async (t, { store, clock }) => {
    const steps = [
      (id: string) => store.use(id, 'first', false, LIMITS),
      (id: string) => store.issue(id, 'first', 'second', LIMITS),
      (id: string) => store.use(id, 'second', false, LIMITS),
    ];
    for (let place = 0; place <= steps.length; place += 1) {
      const id = `family ${place}`;
      await store.create(family(id, clock.now()), 10);
      clock.advance(LIMITS.rotateEveryMs);
      const pending: Promise<unknown>[] = [];
      for (const [index, step] of steps.entries()) {
        if (index === place) pending.push(store.end(id, 'revoked'));
        pending.push(step(id));
      }
      if (place === steps.length) pending.push(store.end(id, 'revoked'));
      await Promise.all(pending);
      for (const hash of ['first', 'second']) {
        t.equal((await store.use(id, hash, false, LIMITS))?.outcome, 'dead');
        t.equal((await store.issue(id, hash, 'third', LIMITS))?.outcome, 'no');
      }
    }
  });

  check('a passive use leaves the idle limit where it was', async (t, { store, clock, ends }) => {
    await store.create(family('a', clock.now()), 10);
    for (let poll = 0; poll < 3; poll += 1) {
      clock.advance(LIMITS.idleMs / 4);
      t.match((await store.use('a', 'first', true, LIMITS))?.outcome, /^ok/);
    }
    clock.advance(LIMITS.idleMs / 4);
    t.equal((await store.use('a', 'first', true, LIMITS))?.outcome, 'expired_idle');
    t.same(ends, [['a', 'idle']]);
  });

  check('expire ends what ran out by the store, and nothing else', async (t, { store, clock, ends }) => {
    await store.create(family('a', clock.now()), 10);
    clock.advance(LIMITS.idleMs - 1);
    await store.expire('a', LIMITS);
    t.same(ends, []);
    clock.advance(1);
    await store.expire('a', LIMITS);
    t.same(ends, [['a', 'idle']]);
  });

  check('a family past its lifetime is over, and unknown after the sweep', async (t, bench) => {
    const { store, clock, ends } = bench;
    await store.create(family('a', clock.now(), { person: 'anna' }), 10);
    await store.create(family('b', clock.now(), { person: 'anna' }), 10);
    clock.advance(LIFETIME_MS);
    t.equal(await store.count(), 0);
    t.same(await store.list(), []);
    t.equal((await store.use('a', 'first', false, LIMITS))?.outcome, 'expired_lifetime');
    t.ok((await store.sweep(LIMITS.idleMs)) >= 1, 'b at least; a store may forget a on its own');
    t.same(ends, [
      ['a', 'lifetime'],
      ['b', 'lifetime'],
    ]);
    t.equal(await store.use('a', 'first', false, LIMITS), undefined);
    t.equal(await store.use('b', 'first', false, LIMITS), undefined);
  });

  check(
    'the sweep ends silent families and keeps dead ones known until their lifetime is over',
    async (t, bench) => {
      const { store, clock, ends } = bench;
      await store.create(family('silent', clock.now()), 10);
      clock.advance(LIMITS.idleMs);
      await store.create(family('fresh', clock.now()), 10);
      t.equal(await store.sweep(LIMITS.idleMs), 0);
      t.same(ends, [['silent', 'idle']]);
      t.equal((await store.use('silent', 'first', false, LIMITS))?.outcome, 'dead');
      t.equal((await store.use('fresh', 'first', false, LIMITS))?.outcome, 'ok');
    },
  );

  check('beyond the limit per person the family unused for longest is evicted', async (t, bench) => {
    const { store, clock, ends } = bench;
    for (const id of ['a', 'b', 'c']) {
      await store.create(family(id, clock.now(), { person: 'anna' }), 3);
      clock.advance(1000);
    }
    await store.create(family('other', clock.now(), { person: 'boris' }), 3);
    await store.use('a', 'first', false, LIMITS);
    clock.advance(1000);
    await store.create(family('d', clock.now(), { person: 'anna' }), 3);
    t.same(ends, [['b', 'evicted']]);
    t.same(
      (await store.list('anna')).map((row) => row.id),
      ['d', 'c', 'a'],
    );
    await store.create(family('e', clock.now(), { person: 'anna' }), 1);
    t.same(
      (await store.list('anna')).map((row) => row.id),
      ['e'],
      'a lowered limit takes effect',
    );
    t.equal((await store.list('boris')).length, 1);
  });

  check('ending a person ends all of theirs but the excepted one, and nobody else', async (t, bench) => {
    const { store, clock, ends } = bench;
    for (const id of ['a', 'b', 'c']) await store.create(family(id, clock.now(), { person: 'anna' }), 10);
    await store.create(family('x', clock.now(), { person: 'boris' }), 10);
    await store.create(family('y', clock.now()), 10);
    t.equal(await store.count(), 4, 'anonymous families are not counted');
    t.equal(await store.endPerson('anna', 'credentials', 'b'), 2);
    t.same(named(ends), ['a credentials', 'c credentials']);
    t.equal(await store.endPerson('anna', 'credentials'), 1);
    t.equal(await store.endPerson('anna', 'credentials'), 0);
    t.equal(await store.count(), 1);
    t.same((await store.list()).map((row) => row.id).toSorted(byText), ['x', 'y']);
  });

  check('a listener that was taken off hears nothing more', async (t, { store, clock, ends }) => {
    const heard: string[] = [];
    const off = store.onEnd((id) => heard.push(id));
    await store.create(family('a', clock.now()), 10);
    await store.create(family('b', clock.now()), 10);
    await store.end('a', 'logout');
    off();
    await store.end('b', 'logout');
    t.same(heard, ['a']);
    t.equal(ends.length, 2);
  });
}
