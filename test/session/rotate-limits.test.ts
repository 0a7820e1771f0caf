import { test } from 'tap';
import { reuseKind } from '../../gateway/session/rotate.ts';
import { ACCEPTED, FamilyDriver, LIFETIME_MS, LIMITS } from './family-driver.ts';

const { graceMs: G, idleMs: IDLE } = LIMITS;

// The numbers are those of the table in sessions.md 1.12.

void test('24: a clock that jumps back makes no negative ages, five seconds forward are harmless', async (t) => {
  const f = new FamilyDriver();
  f.use(f.rotate('id0'));
  const { confirmedMs } = f.state;
  t.equal(f.wait(-5000).use('id1'), 'ok');
  t.equal(f.state.seenMs, confirmedMs);
  t.equal(f.use('id0'), 'ok_inflight');
  t.equal(f.wait(10_000).use('id1'), 'ok');
  t.equal(f.wait(3_600_000).use('id1'), 'expired_idle', 'an hour forward is only idleness');
});

void test('24: a family keeps its own time also when only passive requests saw the later one', async (t) => {
  const f = new FamilyDriver();
  const child = f.rotate('id0');
  f.wait(10_000).use(child, true);
  const { confirmedMs } = f.state;
  f.wait(-10_000).use('id0', true);
  t.equal(f.state.previous[0]?.[1], confirmedMs);
  t.equal(f.wait(10_000 + G).use('id0'), 'ok_inflight');
  t.equal(f.wait(1).use('id0'), 'reuse');
});

void test('25: a family ends with its lifetime, however busy', async (t) => {
  const f = new FamilyDriver();
  for (let passed = 0; passed < LIFETIME_MS - IDLE / 2; passed += IDLE / 2) {
    t.ok(ACCEPTED.has(f.wait(IDLE / 2).use('id0')));
  }
  t.equal(f.wait(IDLE / 2).use('id0'), 'expired_lifetime');
  t.equal(f.state.reason, 'lifetime');
});

void test('25: passive requests do not hold off the idle limit', async (t) => {
  const f = new FamilyDriver();
  for (let passed = 0; passed < IDLE - 30_000; passed += 30_000) {
    t.ok(ACCEPTED.has(f.wait(30_000).use('id0', true)));
  }
  t.equal(f.wait(30_000).use('id0', true), 'expired_idle');
});

void test('28: a browser that comes back with the previous id after a crash ends the family', async (t) => {
  const f = new FamilyDriver();
  f.use(f.rotate('id0'));
  t.equal(f.wait(G + 1).use('id0'), 'reuse');
  t.equal(reuseKind(0, f.state, true), 'crash_regress', 'only information');
  t.equal(reuseKind(0, f.state, false), 'reuse', 'theft when the client looks different');
  t.equal(reuseKind(1, { ...f.state, generation: 3 }, true), 'reuse', 'theft when the id is older');
});

void test('28: with crash_grace it goes on, once, and the newer id is given up', async (t) => {
  const f = new FamilyDriver({ ...LIMITS, crashGrace: true });
  const lost = f.rotate('id0');
  f.use(lost);
  t.equal(f.wait(G).use('id0'), 'ok_inflight');
  t.equal(f.wait(1).use('id0'), 'ok_regress');
  t.equal(f.use('id0'), 'ok');
  const next = f.rotate('id0');
  t.equal(f.use(next), 'ok_confirm');
  t.equal(f.wait(G + 1).use('id0'), 'reuse', 'a second crash is not forgiven');
});

void test('28: with crash_grace the newer id coming back later is reuse', async (t) => {
  const f = new FamilyDriver({ ...LIMITS, crashGrace: true });
  const newer = f.rotate('id0');
  f.use(newer);
  t.equal(f.wait(G + 1).use('id0'), 'ok_regress');
  t.equal(f.use(newer), 'reuse');
});

void test('28: crash_grace forgives nothing while the newer id is in use, and no grandparent', async (t) => {
  const busy = new FamilyDriver({ ...LIMITS, crashGrace: true });
  const newer = busy.rotate('id0');
  busy.use(newer);
  busy.wait(G).use(newer);
  t.equal(busy.wait(1).use('id0'), 'reuse');
  const older = new FamilyDriver({ ...LIMITS, crashGrace: true });
  const child = older.rotate('id0');
  older.use(child);
  older.use(older.rotate(child));
  t.equal(older.wait(G + 1).use('id0'), 'reuse');
});
