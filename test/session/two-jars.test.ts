import * as fc from '../support/property-based.ts';
import { test } from 'tap';
import { UNADOPTED_LIMIT, reissueGapMs } from '../../gateway/session/rotate.ts';
import { LIMITS } from './family-driver.ts';
import { NetworkSimulation } from './network-simulation.ts';
import type { Jar, Trip } from './network-simulation.ts';

const SEED = 20_260_223;
const RUNS = 250;
const { graceMs: G, rotateEveryMs: R, idleMs: IDLE } = LIMITS;
const HOUR_MS = 3_600_000;
/** A quick network, so that the bounds below are about gaps between requests. */
const TRIP: Trip = { requestDelayMs: 20, upstreamMs: 50, responseDelayMs: 20, lost: false };
/** What three round trips of that network may add to a bound. */
const TRIPS_MS = 3 * (TRIP.requestDelayMs + TRIP.upstreamMs + TRIP.responseDelayMs);

interface Scene {
  /** Longest gap between two requests of the owner. */
  readonly ownerGapMs: number;
  /** Longest gap between two requests of the thief. */
  readonly thiefGapMs: number;
  /** When the jar is copied. */
  readonly theftMs: number;
  /** Seeds the gaps. */
  readonly luck: number;
}

const scene: fc.Arbitrary<Scene> = fc.record({
  ownerGapMs: fc.integer({ min: 300, max: 15_000 }),
  thiefGapMs: fc.oneof(fc.constant(50), fc.integer({ min: 50, max: 15_000 })),
  theftMs: fc.integer({ min: 0, max: 4 * R }),
  luck: fc.nat(),
});

/** Numbers in [0, 1) from a seed (mulberry32). */
function dice(seed: number): () => number {
  let word = seed;
  return () => {
    word = (word + 0x6d2b79f5) % 2 ** 32;
    let mixed = Math.imul(word ^ (word >>> 15), word | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface Theft {
  readonly network: NetworkSimulation;
  readonly owner: Jar;
  readonly thief: Jar;
  readonly theftAtMs: number;
  /** Sends requests with gaps up to `gapMs` from `fromMs` on, until refused or told to pause. */
  readonly work: (
    jar: Jar,
    gapMs: number,
    fromMs: number,
    options?: { adopts?: boolean; untilMs?: number },
  ) => void;
}

function stage({ theftMs, luck }: Scene): Theft {
  const network = new NetworkSimulation(LIMITS, false);
  const roll = dice(luck);
  const start = network.nowMs;
  const owner: Jar = { token: 'id0', refusals: [] };
  const thief: Jar = { token: '', refusals: [] };
  network.after(theftMs, () => {
    thief.token = owner.token;
  });
  const work: Theft['work'] = (jar, gapMs, fromMs, { adopts = true, untilMs = Infinity } = {}) => {
    const step = (): void => {
      if (jar.refusals.length > 0 || network.nowMs - start >= untilMs) return;
      network.send(jar, TRIP, adopts);
      network.after(Math.max(1, Math.ceil(gapMs * roll())), step);
    };
    network.after(fromMs, step);
  };
  return { network, owner, thief, theftAtMs: start + theftMs, work };
}

/** @returns how long after the theft the family was dead. */
function outAfter({ network, theftAtMs }: Theft): number {
  return (network.diedMs ?? Number.POSITIVE_INFINITY) - theftAtMs;
}

function expectWithin(theft: Theft, boundMs: number): void {
  theft.network.run(theft.theftAtMs + 3 * HOUR_MS);
  const took = outAfter(theft);
  if (took > boundMs) throw new Error(`the thief was in for ${took} ms, bound ${boundMs} ms`);
  for (const jar of [theft.owner, theft.thief]) {
    if (jar.refusals.length === 0) throw new Error('one of the two was never refused');
  }
}

const check = (body: (scene: Scene) => void): void =>
  fc.assert(fc.property(scene, body), { numRuns: RUNS, seed: SEED });

void test('11, 15, 50: a thief who adopts every rotation is out within R + G and a few gaps', async () => {
  check((given) => {
    const theft = stage(given);
    theft.work(theft.owner, given.ownerGapMs, 0);
    theft.work(theft.thief, given.thiefGapMs, given.theftMs + 1);
    expectWithin(theft, R + G + 2 * given.ownerGapMs + 2 * given.thiefGapMs + TRIPS_MS);
  });
});

void test('15: polling every 50 ms in step with the owner does not keep a thief in', async (t) => {
  const given = { ownerGapMs: 5000, thiefGapMs: 50, theftMs: 90_000, luck: 7 };
  const theft = stage(given);
  theft.work(theft.owner, given.ownerGapMs, 0);
  theft.work(theft.thief, given.thiefGapMs, given.theftMs + 1);
  expectWithin(theft, R + G + 2 * given.ownerGapMs + TRIPS_MS);
  t.ok(outAfter(theft) > 0);
});

void test('14: a thief who never adopts is out once the owner rotates, or by taking every successor', async () => {
  const GRE = reissueGapMs(LIMITS);
  check((given) => {
    const theft = stage(given);
    const { ownerGapMs, thiefGapMs } = given;
    theft.work(theft.owner, ownerGapMs, 0);
    theft.work(theft.thief, thiefGapMs, given.theftMs + 1, { adopts: false });
    const gaps = ownerGapMs + thiefGapMs;
    expectWithin(theft, R + (UNADOPTED_LIMIT + 1) * (GRE + Math.min(ownerGapMs, thiefGapMs)) + G + 2 * gaps);
  });
});

void test('a copy that is used after the owner has moved on gets nothing at all', async () => {
  check((given) => {
    const theft = stage(given);
    const { ownerGapMs } = given;
    theft.work(theft.owner, ownerGapMs, 0);
    const lateMs = given.theftMs + R + G + 2 * ownerGapMs + TRIPS_MS;
    theft.network.after(lateMs, () => theft.network.send(theft.thief, TRIP));
    theft.network.run(theft.theftAtMs + HOUR_MS);
    if (theft.thief.refusals.join(',') !== 'reuse') throw new Error('the late thief was let in');
    if (theft.owner.refusals.length === 0) throw new Error('the family outlived a reuse');
  });
});

void test('12, 13: a thief who works while the owner is away is found when the owner returns', async () => {
  check((given) => {
    const theft = stage(given);
    const { ownerGapMs, thiefGapMs, theftMs } = given;
    const backMs = theftMs + IDLE / 2;
    theft.work(theft.owner, ownerGapMs, 0, { untilMs: theftMs });
    theft.work(theft.thief, thiefGapMs, theftMs + 1);
    theft.work(theft.owner, ownerGapMs, backMs);
    const { network } = theft;
    network.run(theft.theftAtMs + 3 * HOUR_MS);
    const afterReturn = outAfter(theft) - IDLE / 2;
    if (afterReturn > G + 2 * (ownerGapMs + thiefGapMs) + TRIPS_MS) {
      throw new Error(`in for ${afterReturn} ms after the owner was back`);
    }
    if (theft.thief.refusals.length === 0) throw new Error('the thief was never refused');
  });
});

void test('13: a successor that a thief keeps for later is worth nothing once the owner has moved on', async () => {
  check((given) => {
    const theft = stage(given);
    const { ownerGapMs, thiefGapMs, theftMs } = given;
    theft.work(theft.owner, ownerGapMs, 0);
    // Polls along until it holds a successor of its own, then waits and comes back.
    theft.work(theft.thief, thiefGapMs, theftMs + 1, { untilMs: theftMs + R + 1000 });
    const lateMs = theftMs + 2 * (R + G) + 4 * (ownerGapMs + thiefGapMs);
    theft.work(theft.thief, thiefGapMs, lateMs);
    expectWithin(theft, lateMs - theftMs + G + 2 * (ownerGapMs + thiefGapMs) + TRIPS_MS);
  });
});
