import { test } from 'tap';
import { UNADOPTED_LIMIT, reissueGapMs } from '../../gateway/session/rotate.ts';
import { ACCEPTED, FamilyDriver, LIMITS } from './family-driver.ts';

const { rotateEveryMs: R, graceMs: G, idleMs: IDLE } = LIMITS;
const GRE = reissueGapMs(LIMITS);

// The numbers are those of the table in sessions.md 1.12.

void test('1: a young id is accepted any number of times and never replaced', async (t) => {
  const f = new FamilyDriver();
  for (let count = 0; count < 50; count += 1) {
    t.equal(f.wait(1000).use('id0'), 'ok');
    t.equal(f.issue('id0')[0], 'no');
  }
});

void test('2: an old enough id gets one successor, which is confirmed by being presented', async (t) => {
  const f = new FamilyDriver();
  t.equal(f.wait(R).use('id0'), 'ok_due');
  t.same(f.issue('id0'), ['set', 'id1']);
  t.equal(f.state.generation, 0, 'issuing alone changes nothing for the old id');
  t.equal(f.use('id1'), 'ok_confirm');
  t.equal(f.state.generation, 1);
});

void test('3: lost answers cost nothing: the old id stays due and gets another successor each gap', async (t) => {
  const f = new FamilyDriver();
  f.wait(R);
  for (let lost = 0; lost < UNADOPTED_LIMIT; lost += 1) {
    t.equal(f.use('id0'), 'ok_due');
    t.equal(f.issue('id0')[0], 'set');
    t.equal(f.wait(GRE - 1).issue('id0')[0], 'no', 'not sooner than the gap');
    f.wait(1);
  }
  t.equal(f.use('id0'), 'ok_due');
});

void test('4: after a lost answer a client may sleep almost as long as the idle limit', async (t) => {
  const f = new FamilyDriver();
  f.rotate('id0');
  t.equal(f.wait(IDLE - 1).use('id0'), 'ok_due');
});

void test('5: twenty parallel requests make one successor', async (t) => {
  const f = new FamilyDriver();
  f.wait(R);
  for (let count = 0; count < 20; count += 1) t.equal(f.use('id0'), 'ok_due');
  const answers = Array.from({ length: 20 }, () => f.wait(100).issue('id0')[0]);
  t.equal(answers.filter((answer) => answer === 'set').length, 1);
});

void test('6: a late answer that overwrites the newer cookie is no theft, even after a long pause', async (t) => {
  const f = new FamilyDriver();
  const older = f.rotate('id0');
  const [, newer] = f.wait(GRE).issue('id0');
  t.equal(f.use(newer), 'ok_confirm');
  t.equal(f.wait(IDLE - 1).use(older), 'ok_sibling');
  t.equal(f.wait(G + 1).use(older), 'ok_due');
});

void test('7: a straggler under one sibling does not disturb a jar that goes on with the other', async (t) => {
  const f = new FamilyDriver();
  const a = f.rotate('id0');
  const [, b] = f.wait(GRE).issue('id0');
  t.equal(f.use(b), 'ok_confirm');
  t.equal(f.wait(G / 2).use(a), 'ok_sibling');
  for (let count = 0; count < 20; count += 1) t.ok(ACCEPTED.has(f.wait(G).use(b)));
});

void test('8: an id that was in flight when its successor was confirmed is accepted within the grace', async (t) => {
  const f = new FamilyDriver();
  f.use(f.rotate('id0'));
  t.equal(f.wait(G).use('id0'), 'ok_inflight');
  t.equal(f.issue('id0')[0], 'no');
});

void test('9: a rotated id seen after its grace ends the family', async (t) => {
  const f = new FamilyDriver();
  const child = f.rotate('id0');
  f.use(child);
  t.equal(f.wait(G + 1).use('id0'), 'reuse');
  t.equal(f.use(child), 'dead');
  t.same([f.state.status, f.state.reason], ['dead', 'reuse']);
});

void test('10: a grandparent is never accepted', async (t) => {
  for (const pause of [0, 1000, G, R]) {
    const f = new FamilyDriver();
    const child = f.rotate('id0');
    f.use(child);
    f.use(f.rotate(child));
    t.equal(f.wait(pause).use('id0'), 'reuse');
  }
});

void test('13: a sibling that a thief kept back and used late is found when the owner returns', async (t) => {
  const f = new FamilyDriver();
  const owners = f.rotate('id0');
  const [, thiefs] = f.wait(GRE).issue('id0');
  f.use(owners);
  t.equal(f.wait(G + 1).use(thiefs), 'ok_sibling');
  t.equal(f.wait(G + 1).use(owners), 'fork');
});

void test('13: a sibling kept back past its delivery window dies as soon as the owner is seen', async (t) => {
  const f = new FamilyDriver();
  const owners = f.rotate('id0');
  const [, thiefs] = f.wait(GRE).issue('id0');
  f.use(owners);
  t.equal(f.wait(G + 1).use(owners), 'ok');
  t.equal(f.use(thiefs), 'reuse');
});

void test('14: a client that never adopts a successor is ended', async (t) => {
  const f = new FamilyDriver();
  f.wait(R);
  for (let count = 0; count < UNADOPTED_LIMIT; count += 1) {
    t.equal(f.issue('id0')[0], 'set');
    f.wait(GRE);
  }
  t.equal(f.issue('id0')[0], 'stubborn');
  t.equal(f.use('id0'), 'dead');
});

void test('16: siblings that alternate within the grace are one jar, once outside they are two', async (t) => {
  const f = new FamilyDriver();
  const a = f.rotate('id0');
  const [, b] = f.wait(GRE).issue('id0');
  f.use(a);
  f.use(b);
  for (let passed = 0; passed < G; passed += 1000) {
    t.equal(f.use(a), 'ok');
    t.equal(f.use(b), 'ok');
    f.wait(1000);
  }
  t.equal(f.wait(1000).use(a), 'ok');
  t.equal(f.use(b), 'fork');
});

void test('17: after an end nothing is accepted or issued', async (t) => {
  const f = new FamilyDriver();
  const child = f.rotate('id0');
  f.end();
  for (const hash of ['id0', child]) {
    t.equal(f.use(hash), 'dead');
    t.equal(f.wait(R).issue(hash)[0], 'no');
  }
  t.equal(f.state.reason, 'revoked');
});

void test('19: a candidate presented twice is confirmed once', async (t) => {
  const f = new FamilyDriver();
  const child = f.rotate('id0');
  t.same([f.use(child), f.use(child)], ['ok_confirm', 'ok']);
  t.equal(f.state.generation, 1);
});

void test('27: an answer that comes after later rotations issues nothing', async (t) => {
  const f = new FamilyDriver();
  let jar = 'id0';
  for (let rotation = 0; rotation < 4; rotation += 1) {
    jar = f.rotate(jar);
    f.use(jar);
  }
  t.equal(f.wait(R).issue('id0')[0], 'no');
  t.equal(f.use(jar), 'ok_due');
});

void test('37: the lists stay bounded and the id in the jar is never the one dropped', async (t) => {
  const f = new FamilyDriver();
  const delivered = f.rotate('id0');
  for (let lost = 1; lost < UNADOPTED_LIMIT; lost += 1) t.equal(f.wait(GRE).issue('id0')[0], 'set');
  t.equal(f.state.candidates.length, UNADOPTED_LIMIT);
  t.equal(f.use(delivered), 'ok_confirm', 'the first of twelve, eleven later answers lost');
  for (const [hash] of f.state.candidates.slice(-9)) t.equal(f.use(hash), 'ok_sibling');
  t.equal(f.state.active.length, 8);
  const jar = f.state.active.at(-1)?.[0] ?? '';
  t.equal(f.use(jar), 'ok');
  f.wait(R);
  const [, child] = f.issue(jar);
  t.equal(f.use(child), 'ok_confirm');
  t.equal(f.state.previous.length, 8);
  t.equal(f.use(jar), 'ok_inflight');
});

void test('49: a sibling that waited in the jar may still be in flight when the other one is confirmed', async (t) => {
  const f = new FamilyDriver();
  const waiting = f.rotate('id0');
  const [, slow] = f.wait(G - 1000).issue('id0');
  // A request leaves with the first, then the second arrives in the jar and is presented before it.
  t.equal(f.wait(2000).use(slow), 'ok_confirm');
  t.equal(f.wait(1000).use(slow), 'ok');
  t.equal(f.use(waiting), 'ok_sibling');
});

void test('49: a confirmation keeps the children of a sibling, which may reach the jar last', async (t) => {
  const f = new FamilyDriver();
  const older = f.rotate('id0');
  const [, newer] = f.wait(GRE).issue('id0');
  f.use(newer);
  t.equal(f.use(older), 'ok_sibling', 'the older answer came last and is in the jar');
  const [, late] = f.wait(R).issue(newer);
  const [, quick] = f.issue(older);
  t.equal(f.wait(1000).use(quick), 'ok_confirm');
  t.equal(f.wait(G / 2).use(late), 'ok_sibling');
});

void test('49: a confirmation keeps an older sibling that its child has just pushed out of the jar', async (t) => {
  const f = new FamilyDriver();
  const inJar = f.rotate('id0');
  const [, confirmed] = f.wait(GRE).issue('id0');
  f.use(confirmed);
  // The first answer came last; nobody is at work until an upload that left with the other id is answered.
  const [, child] = f.wait(5 * R).issue(confirmed);
  t.equal(f.wait(1000).use(child), 'ok_confirm');
  t.equal(f.wait(G / 2).use(inJar), 'ok_sibling');
});
