import * as fc from '../support/property-based.ts';
import { test } from 'tap';
import { SETTINGS, SessionBench } from './session-bench.ts';
import type { Browser } from './session-bench.ts';

// The properties of single-jar.test.ts and two-jars.test.ts once more, on the whole service: what memory serves
// without the store must neither make a thief of an owner nor hide one.

const SEED = 20_260_301;
const { rotateEveryMs: R, graceMs: G } = SETTINGS;

interface Call {
  readonly gapMs: number;
  readonly requestDelayMs: number;
  readonly upstreamMs: number;
  readonly responseDelayMs: number;
  readonly lost: boolean;
  readonly passive: boolean;
}

const delay = fc.oneof(fc.integer({ min: 1, max: 200 }), fc.integer({ min: 1, max: G / 2 - 1 }));
const call: fc.Arbitrary<Call> = fc.record({
  gapMs: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 5000 }), fc.integer({ min: 1, max: R })),
  requestDelayMs: delay,
  upstreamMs: fc.oneof(fc.integer({ min: 1, max: 400 }), fc.integer({ min: 1, max: 3 * R })),
  responseDelayMs: delay,
  lost: fc.oneof(fc.constant(false), fc.constant(false), fc.boolean()),
  passive: fc.oneof(fc.constant(false), fc.constant(false), fc.boolean()),
});

/** Things that happen at their times, one after the other. */
class Schedule {
  readonly #bench: SessionBench;
  readonly #events: { atMs: number; run: () => Promise<void> | void }[] = [];

  constructor(bench: SessionBench) {
    this.#bench = bench;
  }

  after(delayMs: number, run: () => Promise<void> | void): void {
    const atMs = this.#bench.clock.now() + delayMs;
    const later = this.#events.findIndex((event) => event.atMs > atMs);
    this.#events.splice(later === -1 ? this.#events.length : later, 0, { atMs, run });
  }

  async run(): Promise<void> {
    for (let event = this.#events.shift(); event !== undefined; event = this.#events.shift()) {
      this.#bench.clock.advance(event.atMs - this.#bench.clock.now());
      await event.run();
    }
  }

  /** One request over a slow network; refusals are noted. */
  send(browser: Browser, trip: Call, refusals: string[]): void {
    const { token } = browser;
    this.after(trip.requestDelayMs, async () => {
      const verdict = await this.#bench.service.authenticate(token, browser.context, trip.passive);
      if (verdict.kind === 'ended') refusals.push(verdict.reason);
      if (verdict.kind !== 'live' || !verdict.due) return;
      this.after(trip.upstreamMs, async () => {
        const setCookie = await this.#bench.service.rotate(verdict);
        if (!trip.lost) this.after(trip.responseDelayMs, () => browser.store(setCookie));
      });
    });
  }
}

void test('49: one browser is never signed out, whatever the network does', async (t) => {
  const bench = new SessionBench(t);
  const play = async (calls: Call[]): Promise<void> => {
    const browser = await bench.signIn('anna');
    const schedule = new Schedule(bench);
    const refusals: string[] = [];
    let atMs = 0;
    for (const trip of calls) {
      atMs += trip.gapMs;
      schedule.after(atMs, () => schedule.send(browser, trip, refusals));
    }
    await schedule.run();
    if (refusals.length > 0) throw new Error(`refused as ${refusals.join(', ')}`);
  };
  const calls = fc.array(call, { minLength: 60, maxLength: 120 });
  await fc.assert(fc.asyncProperty(calls, play), { numRuns: 200, seed: SEED });
  const rotations = bench.events.filter((event) => event === 'rotated').length;
  t.ok(rotations > 1000, `${rotations} rotations`);
  t.ok(bench.events.includes('grace'));
});

void test('50: two browsers with one cookie are both out within R + G and a few gaps', async (t) => {
  const bench = new SessionBench(t);
  const quick = {
    requestDelayMs: 5,
    upstreamMs: 20,
    responseDelayMs: 5,
    lost: false,
    passive: false,
    gapMs: 0,
  };
  const play = async (ownerGapMs: number, thiefGapMs: number, theftMs: number): Promise<void> => {
    const owner = await bench.signIn('anna');
    const schedule = new Schedule(bench);
    const startMs = bench.clock.now();
    let outMs = Infinity;
    const work = (browser: Browser, gapMs: number): void => {
      const refusals: string[] = [];
      const step = (): void => {
        if (refusals.length > 0) outMs = Math.min(outMs, bench.clock.now() - startMs - theftMs);
        if (refusals.length > 0 || bench.clock.now() - startMs > theftMs + 10 * R) return;
        schedule.send(browser, quick, refusals);
        schedule.after(gapMs, step);
      };
      step();
    };
    work(owner, ownerGapMs);
    schedule.after(theftMs, () => work(owner.copy(), thiefGapMs));
    await schedule.run();
    // A refusal is noted one gap later than it came.
    const boundMs = R + G + 3 * (ownerGapMs + thiefGapMs) + 1000;
    if (outMs > boundMs) throw new Error(`in for ${outMs} ms, bound ${boundMs} ms`);
  };
  const gap = fc.integer({ min: 100, max: 15_000 });
  const theft = fc.integer({ min: 0, max: 4 * R });
  await fc.assert(fc.asyncProperty(gap, gap, theft, play), { numRuns: 60, seed: SEED });
  t.ok(bench.events.some((event) => event.startsWith('theft')));
});
