import { test } from 'tap';

import { type BackupHistory, isOverdue, nextDueMs } from '../../gateway/backup/schedule.ts';
import * as fc from '../support/property-based.ts';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const NOW = Date.UTC(2026, 10, 26, 12);

const rhythms = fc.record({
  everyMs: fc.integer({ min: 60_000, max: 7 * DAY }),
  atMs: fc.option(
    fc.integer({ min: 0, max: 1439 }).map((minutes) => minutes * 60_000),
    { nil: undefined },
  ),
});
const times = fc.integer({ min: NOW - 60 * DAY, max: NOW + 60 * DAY });
const maybe = fc.option(times, { nil: undefined });
const histories = fc.record({
  sinceMs: times,
  lastSuccessMs: maybe,
  lastAttemptMs: maybe,
  failures: fc.nat(40),
});
const NEVER: BackupHistory = {
  sinceMs: NOW,
  lastSuccessMs: undefined,
  lastAttemptMs: undefined,
  failures: 0,
};

await test('without a time of day the first backup is due at once and each other one a period later', async (t) => {
  const rhythm = { everyMs: DAY, atMs: undefined };
  t.equal(nextDueMs(rhythm, NEVER, NOW), NOW);
  t.equal(nextDueMs(rhythm, { ...NEVER, lastSuccessMs: NOW }, NOW + 5), NOW + DAY);
});

await test('a time of day is kept, UTC, and shorter periods are counted from it', async (t) => {
  const at = { everyMs: DAY, atMs: 3 * HOUR };
  const three = Date.UTC(2026, 10, 27, 3);
  t.equal(nextDueMs(at, NEVER, NOW), three);
  t.equal(nextDueMs(at, { ...NEVER, lastSuccessMs: three }, three), three + DAY);
  t.equal(nextDueMs(at, { ...NEVER, lastSuccessMs: three + 1700 }, three + 2000), three + DAY);
  t.equal(nextDueMs({ everyMs: 12 * HOUR, atMs: 3 * HOUR }, NEVER, NOW), Date.UTC(2026, 10, 26, 15));
});

await test('however long the gateway was away, one backup is due at once, and only one', async (t) => {
  fc.assert(
    fc.property(rhythms, fc.integer({ min: 1, max: 1000 }), (rhythm, periods) => {
      const history = { ...NEVER, lastSuccessMs: NOW };
      const backMs = NOW + periods * rhythm.everyMs;
      if (nextDueMs(rhythm, history, backMs) > backMs) return false;
      const after = { ...history, lastSuccessMs: backMs };
      const next = nextDueMs(rhythm, after, backMs);
      return next > backMs && next <= backMs + rhythm.everyMs;
    }),
  );
  t.end();
});

await test('a process that looks every now and then makes exactly one backup in each period', async (t) => {
  fc.assert(
    fc.property(rhythms, fc.integer({ min: 1000, max: 60_000 }), ({ everyMs, atMs }, stepMs) => {
      const rhythm = { everyMs, atMs };
      let history = NEVER;
      const made: number[] = [];
      for (
        let nowMs = NOW;
        made.length < 5;
        nowMs = Math.max(nowMs + stepMs, nextDueMs(rhythm, history, nowMs))
      )
        if (nextDueMs(rhythm, history, nowMs) <= nowMs) {
          made.push(nowMs);
          history = { ...history, lastSuccessMs: nowMs };
        }
      const slots = made.map((each) => Math.floor((each - (atMs ?? NOW)) / everyMs));
      return (
        slots.every((slot, index) => index === 0 || slot === (slots[index - 1] ?? 0) + 1) ||
        atMs === undefined
      );
    }),
  );
  t.end();
});

await test('a failure never brings a backup forward, and puts it off by an hour or a period at most', async (t) => {
  fc.assert(
    fc.property(rhythms, histories, (rhythm, history) => {
      const due = nextDueMs(rhythm, history, NOW);
      const slot = nextDueMs(rhythm, { ...history, failures: 0 }, NOW);
      const pause = Math.min(HOUR, rhythm.everyMs);
      return due >= slot && due <= Math.max(slot, NOW + 2 * pause);
    }),
  );
  const after = (failures: number) =>
    nextDueMs({ everyMs: DAY, atMs: undefined }, { ...NEVER, failures, lastAttemptMs: NOW }, NOW) - NOW;
  t.same(
    [1, 2, 3, 4, 5, 6, 7, 8].map((failures) => after(failures) / 60_000),
    [1, 2, 4, 8, 16, 32, 60, 60],
  );
});

await test('whatever times a wrong clock left behind, the next backup is at most two periods away', async (t) => {
  fc.assert(
    fc.property(rhythms, histories, (rhythm, history) => {
      const longest = 2 * rhythm.everyMs + 2 * Math.min(HOUR, rhythm.everyMs);
      return nextDueMs(rhythm, history, NOW) <= NOW + longest;
    }),
  );
  t.end();
});

await test('a backup is overdue after one and a half periods without a good one', async (t) => {
  const rhythm = { everyMs: DAY, atMs: 3 * HOUR };
  t.equal(isOverdue(rhythm, NEVER, NOW + 36 * HOUR), false);
  t.equal(isOverdue(rhythm, NEVER, NOW + 36 * HOUR + 1), true);
  t.equal(isOverdue(rhythm, { ...NEVER, lastSuccessMs: NOW + HOUR }, NOW + 37 * HOUR), false);
});
