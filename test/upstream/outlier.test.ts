import { test } from 'tap';

import { noteAnswer, noteFailure } from '../../gateway/upstream/outlier.ts';
import { RetryBudget } from '../../gateway/upstream/retry-budget.ts';
import { measureDistance } from '../../gateway/upstream/nearness.ts';
import { troubleOf } from '../../gateway/upstream/health-check.ts';
import { FleetDriver } from './fleet-fixture.ts';

const REGIONS = [
  { id: 'msk', ports: [1] },
  { id: 'spb', ports: [2] },
  { id: 'nsk', ports: [3] },
];

function threeNodes(): FleetDriver {
  const fleet = new FleetDriver(REGIONS);
  fleet.says(1, { role: 'primary', epoch: 1 });
  fleet.says(2, { role: 'replica', epoch: 1, lag_ms: 0 });
  fleet.says(3, { role: 'replica', epoch: 1, lag_ms: 0 });
  return fleet;
}

function fail(fleet: FleetDriver, port: number, times: number): void {
  for (let i = 0; i < times; i++) noteFailure(fleet.map, fleet.node(port), 'connection');
}

void test('a node at which requests keep failing is used last, although its checks pass', async (t) => {
  const fleet = threeNodes();
  fail(fleet, 2, 4);
  noteAnswer(fleet.map, fleet.node(2), 200, {});
  fail(fleet, 2, 4);
  t.same(fleet.reads(), [1, 2, 3], 'an answer in between breaks the row');
  fail(fleet, 2, 1);
  t.same(fleet.reads(), [1, 3, 2]);
  t.ok(fleet.happenings.includes('2 ejected 5000'));
  await fleet.close();
});

void test('each ejection is twice as long as the one before, up to five minutes', async (t) => {
  const fleet = threeNodes();
  const node = fleet.node(2);
  for (let i = 0; i < 9; i++) {
    fail(fleet, 2, 5);
    node.ejected = false;
    node.errors = 0;
    node.returnedMs = performance.now();
  }
  const times = fleet.happenings.flatMap((each) => /ejected (\d+)/.exec(each)?.[1] ?? []).map(Number);
  t.same(times, [5000, 10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000, 300_000]);
  await fleet.close();
});

void test('the last primary is never put aside, nor the last node that is left', async (t) => {
  const fleet = threeNodes();
  fail(fleet, 1, 50);
  t.same([fleet.node(1).ejected, fleet.writes()], [false, [1]]);
  fleet.dies(1);
  fail(fleet, 2, 5);
  fail(fleet, 3, 50);
  t.same([fleet.node(2).ejected, fleet.node(3).ejected], [true, false]);
  await fleet.close();
});

void test('502, 503 and 504 count as failures, and a 500 is a matter of one page', async (t) => {
  const fleet = threeNodes();
  for (let i = 0; i < 9; i++) noteAnswer(fleet.map, fleet.node(2), 500, {});
  t.equal(fleet.node(2).ejected, false);
  for (const status of [502, 503, 504, 502, 503]) noteAnswer(fleet.map, fleet.node(2), status, {});
  t.equal(fleet.node(2).ejected, true);
  await fleet.close();
});

void test('a node that says so with any answer gets nothing new until its next check', async (t) => {
  const fleet = threeNodes();
  noteAnswer(fleet.map, fleet.node(1), 200, { 'zasov-drain': 'true' });
  t.same([fleet.reads(), fleet.writes()], [[2, 3, 1], [1]]);
  fleet.says(1, { role: 'primary', epoch: 1 });
  t.same(fleet.reads(), [1, 2, 3]);
  await fleet.close();
});

void test('second tries are a fifth of the requests, and a few at least', (t) => {
  let refused = 0;
  const budget = new RetryBudget(() => refused++);
  for (let i = 0; i < 10; i++) {
    budget.began();
    t.equal(budget.take(), true);
  }
  t.equal(budget.take(), false);
  for (let i = 0; i < 90; i++) budget.began();
  let taken = 0;
  while (budget.take()) taken++;
  t.same([taken, refused], [10, 2]);
  budget.ended(true);
  t.equal(budget.take(), true, 'what is over makes room');
  t.end();
});

void test('a distance moves in steps, so that two regions do not take turns', async (t) => {
  const fleet = threeNodes();
  const node = fleet.node(1);
  t.equal(measureDistance(node, 40), true);
  t.equal(node.distanceMs, 40);
  for (const time of [44, 38, 45, 36]) t.equal(measureDistance(node, time), false);
  let moves = 0;
  for (let i = 0; i < 40; i++) if (measureDistance(node, 5)) moves++;
  t.ok(moves > 0 && node.distanceMs < 12);
  await fleet.close();
});

void test('connection, time-out and protocol are told apart', (t) => {
  const kinds = ['ECONNREFUSED', 'UND_ERR_SOCKET', 'UND_ERR_HEADERS_TIMEOUT', 'HPE_INVALID_CONSTANT'].map(
    (code) => troubleOf(Object.assign(new Error(code), { code })),
  );
  t.same(kinds, ['connection', 'connection', 'timeout', 'protocol']);
  t.end();
});
