/** When the event loop counts as overloaded, without one. */
import { test } from 'tap';
import { EventLoopLoad } from '../../gateway/observability/event-loop-load.ts';

/** Feeds delays that follow each other, each as long as it says. */
function loopOf() {
  const load = new EventLoopLoad();
  let nowMs = 0;
  return {
    load,
    run: (delayMs: number, forMs: number) => {
      const untilMs = nowMs + forMs;
      while (nowMs < untilMs) {
        nowMs += 50 + delayMs;
        load.sample(delayMs, nowMs);
      }
      return load.level;
    },
  };
}

await test('a loop that is in time, or late now and then, is not overloaded', (t) => {
  const { load, run } = loopOf();
  t.equal(run(2, 5000), 0);
  for (let round = 0; round < 20; round += 1) {
    run(1100, 1100);
    t.equal(run(2, 300), 0, 'one long pause is a collection of garbage, not a load');
  }
  t.equal(load.level, 0);
  t.end();
});

await test('a loop that stays late turns away more the later it is', (t) => {
  for (const [delayMs, level] of [
    [190, 0],
    [210, 1],
    [510, 2],
    [1050, 3],
  ] as const)
    t.equal(loopOf().run(delayMs, 3000), level, `${delayMs} ms`);
  t.end();
});

await test('the levels are left one after the other, each after a second of calm', (t) => {
  const { run } = loopOf();
  t.equal(run(1100, 5000), 3);
  const levels = Array.from({ length: 100 }, () => run(1, 51));
  t.strictSame([...new Set(levels)], [3, 2, 1, 0]);
  for (const level of [2, 1])
    t.ok(levels.filter((each) => each === level).length * 51 >= 1000, `level ${level} held for a second`);
  t.end();
});

await test('a load that just bears what is left is not let in again at once', (t) => {
  const { run } = loopOf();
  t.equal(run(250, 2000), 1);
  t.equal(run(120, 5000), 1, 'half of the threshold is not calm');
  t.equal(run(10, 3000), 0);
  t.end();
});
