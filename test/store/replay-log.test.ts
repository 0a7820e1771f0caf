import { test } from 'tap';

import { ReplayLog } from '../../gateway/store/replay-log.ts';

/** A log at a time that the test sets, and what a replay of it does. */
function logAt(limits?: { changes: number; lasting: number }) {
  let nowMs = 0;
  const log = new ReplayLog(() => nowMs, limits);
  const done: string[] = [];
  const replay = (name: string) => async () => done.push(name);
  return {
    log,
    change: (name: string) => log.add(replay(name)),
    end: (name: string) => log.addLasting(replay(name)),
    at: (ms: number) => {
      nowMs = ms;
    },
    run: async () => {
      await log.run();
      return done.splice(0);
    },
  };
}

void test('nothing is forgotten while the servers were not found in order, however long that takes', async (t) => {
  const { change, end, at, run } = logAt();
  change('first');
  end('sign-out');
  at(3_600_000);
  change('last');
  t.same(await run(), ['sign-out', 'first', 'last']);
});

void test('ends are done again ten minutes long, other changes ten seconds', async (t) => {
  const { log, change, end, run } = logAt();
  change('confirmation');
  end('sign-out');
  log.forgetBefore(10_000);
  t.same(await run(), ['sign-out', 'confirmation']);
  log.forgetBefore(10_001);
  t.same(await run(), ['sign-out']);
  log.forgetBefore(600_000);
  t.same(await run(), ['sign-out']);
  log.forgetBefore(600_001);
  t.same(await run(), []);
});

void test('no traffic pushes an end out, and of too many changes the newest stay', async (t) => {
  const { change, end, run } = logAt({ changes: 3, lasting: 2 });
  end('sign-out');
  for (let n = 1; n <= 20; n += 1) change(`change ${n}`);
  t.same(await run(), ['sign-out', 'change 18', 'change 19', 'change 20']);
  end('second');
  end('third');
  t.same((await run()).slice(0, 2), ['second', 'third']);
});

void test('a change that fails fails the replay, and it can be run again as a whole', async (t) => {
  const { log, end, run } = logAt();
  let isAway = true;
  log.addLasting(async () => {
    if (isAway) throw new Error('the server is away');
  });
  end('sign-out');
  await t.rejects(log.run(), { message: 'the server is away' });
  isAway = false;
  t.ok((await run()).includes('sign-out'));
});
