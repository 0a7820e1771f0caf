import * as fc from '../support/property-based.ts';
import { test } from 'tap';
import { LIMITS } from './family-driver.ts';
import { NetworkSimulation } from './network-simulation.ts';
import type { Jar, Trip } from './network-simulation.ts';

const SEED = 20_260_217;
const { graceMs: G, rotateEveryMs: R, idleMs: IDLE } = LIMITS;

interface Call extends Trip {
  readonly gapMs: number;
}

const delay = fc.oneof(
  { weight: 5, arbitrary: fc.integer({ min: 1, max: 200 }) },
  { weight: 2, arbitrary: fc.integer({ min: 1, max: G / 2 - 1 }) },
  { weight: 1, arbitrary: fc.constant(G / 2 - 1) },
);

const call: fc.Arbitrary<Call> = fc.record({
  gapMs: fc.oneof(
    { weight: 6, arbitrary: fc.constant(0) },
    { weight: 8, arbitrary: fc.integer({ min: 1, max: 5000 }) },
    { weight: 4, arbitrary: fc.integer({ min: 1, max: R }) },
    { weight: 1, arbitrary: fc.integer({ min: R, max: IDLE - 2 * G }) },
  ),
  requestDelayMs: delay,
  upstreamMs: fc.oneof(
    { weight: 8, arbitrary: fc.integer({ min: 1, max: 400 }) },
    { weight: 2, arbitrary: fc.integer({ min: 1, max: R }) },
    { weight: 1, arbitrary: fc.integer({ min: R, max: 5 * R }) },
  ),
  responseDelayMs: delay,
  lost: fc.boolean(),
});

void test('49: one jar is never taken for two, whatever the network delays, reorders and loses', async (t) => {
  const outcomes = new Map<string, number>();
  const play = (calls: Call[], lossy: boolean): void => {
    const network = new NetworkSimulation(LIMITS, true);
    const jar: Jar = { token: 'id0', refusals: [] };
    let atMs = 0;
    for (const { gapMs, ...trip } of calls) {
      atMs += gapMs;
      network.after(atMs, () => network.send(jar, { ...trip, lost: trip.lost && lossy }));
    }
    network.run(Number.POSITIVE_INFINITY);
    for (const [outcome, count] of network.outcomes) {
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + count);
    }
    if (jar.refusals.some((refusal) => !refusal.startsWith('expired'))) {
      throw new Error(`refused as ${jar.refusals.join(', ')}`);
    }
  };
  const calls = fc.array(call, { minLength: 80, maxLength: 160 });
  fc.assert(fc.property(calls, fc.boolean(), play), { numRuns: 800, seed: SEED });
  const total = [...outcomes.values()].reduce((sum, count) => sum + count, 0);
  t.ok(total >= 80_000, `${total} requests and answers`);
  for (const outcome of ['ok_confirm', 'ok_sibling', 'ok_inflight', 'set', 'no']) {
    t.ok((outcomes.get(outcome) ?? 0) > 100, `${outcome}: ${outcomes.get(outcome) ?? 0} times`);
  }
  for (const outcome of ['reuse', 'fork', 'stubborn']) t.equal(outcomes.get(outcome), undefined, outcome);
});
