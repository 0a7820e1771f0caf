import { test } from 'tap';

import { ParallelLimit } from '../../gateway/rate-limit/parallel-limit.ts';

/** A promise, and whether it has been kept. */
function watch(pending: Promise<void> | undefined): { kept: boolean; promise: Promise<void> } {
  const watched = { kept: false, promise: Promise.resolve() };
  watched.promise = (pending ?? Promise.resolve()).then(() => {
    watched.kept = true;
  });
  return watched;
}

void test('so many run at once, three times as many wait in their order, the rest is refused', async (t) => {
  const limit = new ParallelLimit({ name: 'person', most: 2 });
  t.equal(limit.enter('a'), undefined);
  t.equal(limit.enter('a'), undefined);
  t.equal(limit.enter('b'), undefined, 'everybody has their own places');
  const waiting = Array.from({ length: 6 }, () => watch(limit.enter('a')));
  t.throws(() => limit.enter('a'), { code: 'rate_limited', retryAfterSeconds: 1 });
  limit.leave('a');
  await waiting[0]?.promise;
  t.same(
    waiting.map(({ kept }) => kept),
    [true, false, false, false, false, false],
  );
  for (let each = 0; each < 5; each += 1) limit.leave('a');
  await Promise.all(waiting.map(({ promise }) => promise));
  limit.leave('a');
  t.not(limit.enter('a'), limit.enter('a'), 'one place is left');
  limit.leave('a');
});

void test('a place is never lost and never given twice', async (t) => {
  const limit = new ParallelLimit({ name: 'person', most: 3 });
  let open = 0;
  let most = 0;
  const visit = async () => {
    await limit.enter('a');
    open += 1;
    most = Math.max(most, open);
    await Promise.resolve();
    open -= 1;
    limit.leave('a');
  };
  for (let round = 0; round < 50; round += 1) await Promise.all(Array.from({ length: 12 }, visit));
  t.equal(most, 3);
  t.same([limit.enter('a'), limit.enter('a'), limit.enter('a')], [undefined, undefined, undefined]);
});

void test('a flood of holders costs bounded memory and forgets nobody who has a request', (t) => {
  const limit = new ParallelLimit({ name: 'person', most: 1 });
  t.equal(limit.enter('busy'), undefined);
  for (let each = 0; each < 30_000; each += 1) {
    void limit.enter(`x${each}`);
    limit.leave(`x${each}`);
  }
  t.ok(limit.enter('busy') instanceof Promise);
  t.end();
});
