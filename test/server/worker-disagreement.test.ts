import * as fc from '../support/property-based.ts';
import { test } from 'tap';
import { createMasterKey, parseKeyring } from '../../gateway/crypto/keyring.ts';
import { type EndRelay, type FamilyNews, NewsListeners } from '../../gateway/server/end-relay.ts';
import { RelayedStore } from '../../gateway/server/relayed-store.ts';
import { familyTransitions, reissueGapMs, UNADOPTED_LIMIT } from '../../gateway/session/rotate.ts';
import { createSessionService } from '../../gateway/session/session-service.ts';
import { SESSION_COOKIE, type SessionService } from '../../gateway/session/session.ts';
import { openEmbeddedStore } from '../../gateway/store/embedded-store.ts';
import { FIREFOX, SETTINGS } from '../session/session-bench.ts';
import { ManualClock } from '../support/manual-clock.ts';

// Whatever two workers believe of a session, and however late or never they hear of each other: the store decides
// every change of state, so old beliefs must neither sign an owner out nor make a thief of one.

const SEED = 20_261_124;
const { rotateEveryMs: R, graceMs: G } = SETTINGS;
/** How long a worker may decide from memory: what a lost message costs at most. */
const TERM_MS = 15_000;

interface Call {
  readonly gapMs: number;
  readonly worker: number;
  readonly requestDelayMs: number;
  readonly upstreamMs: number;
  readonly responseDelayMs: number;
  readonly lost: boolean;
  readonly newsDelayMs: number | undefined;
}

const delay = fc.oneof(fc.integer({ min: 1, max: 200 }), fc.integer({ min: 1, max: G / 2 - 1 }));
const call: fc.Arbitrary<Call> = fc.record({
  gapMs: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 5000 }), fc.integer({ min: 1, max: R })),
  worker: fc.integer({ min: 0, max: 1 }),
  requestDelayMs: delay,
  upstreamMs: fc.oneof(fc.integer({ min: 1, max: 400 }), fc.integer({ min: 1, max: 3 * R })),
  responseDelayMs: delay,
  lost: fc.oneof(fc.constant(false), fc.constant(false), fc.boolean()),
  newsDelayMs: fc.oneof(fc.constant(1), fc.integer({ min: 1, max: TERM_MS }), fc.constant(undefined)),
});

interface Jar {
  token: string;
}

/** Two workers on one store, and a schedule of what happens when. */
class Simulation {
  readonly clock = new ManualClock();
  readonly services: SessionService[];
  /** When somebody was refused, and why. */
  readonly refusals: { atMs: number; why: string }[] = [];
  rotations = 0;
  /** How long the next news takes; `undefined` is never. */
  newsDelayMs: number | undefined = 1;
  readonly #events: { atMs: number; run: () => Promise<void> | void }[] = [];

  constructor() {
    const store = openEmbeddedStore(':memory:', familyTransitions, this.clock);
    const keyring = parseKeyring(createMasterKey());
    const ears = [new NewsListeners(), new NewsListeners()];
    this.services = ears.map((own) => {
      const relay: EndRelay = {
        publish: async (news) =>
          this.#carry(
            news,
            ears.filter((each) => each !== own),
          ),
        onNews: (listener) => own.add(listener),
        isAlive: () => true,
      };
      const quiet = () => undefined;
      return createSessionService({
        store: new RelayedStore(store, relay),
        keyring,
        clock: this.clock,
        settings: SETTINGS,
        observer: {
          rotated: () => (this.rotations += 1),
          graceHit: quiet,
          theft: quiet,
          ended: quiet,
          storeSeconds: quiet,
        },
      });
    });
  }

  after(delayMs: number, run: () => Promise<void> | void): void {
    const atMs = this.clock.now() + delayMs;
    const later = this.#events.findIndex((event) => event.atMs > atMs);
    this.#events.splice(later === -1 ? this.#events.length : later, 0, { atMs, run });
  }

  async run(): Promise<void> {
    for (let event = this.#events.shift(); event !== undefined; event = this.#events.shift()) {
      this.clock.advance(event.atMs - this.clock.now());
      await event.run();
    }
  }

  /** Signs in. @returns the browser's jar. */
  async begin(): Promise<Jar> {
    const begun = await this.services[0]?.begin({
      account: 'acme',
      subject: 'anna',
      context: FIREFOX,
      setCookies: [],
      replaces: undefined,
    });
    return { token: tokenOf(begun?.setCookie ?? '') };
  }

  /** One request with what the jar holds now. */
  send(jar: Jar, trip: Call): void {
    const { token } = jar;
    this.after(trip.requestDelayMs, async () => {
      this.newsDelayMs = trip.newsDelayMs;
      const service = this.services[trip.worker];
      const verdict = await service?.authenticate(token, FIREFOX, false);
      if (verdict?.kind !== 'live') {
        const why = verdict?.kind === 'ended' ? verdict.reason : 'none';
        this.refusals.push({ atMs: this.clock.now(), why });
        return;
      }
      if (!verdict.due) return;
      this.after(trip.upstreamMs, async () => {
        const setCookie = await service?.rotate(verdict);
        if (setCookie === undefined || trip.lost) return;
        this.after(trip.responseDelayMs, () => {
          jar.token = tokenOf(setCookie);
        });
      });
    });
  }

  #carry(news: FamilyNews, ears: readonly NewsListeners[]): void {
    if (this.newsDelayMs === undefined) return;
    this.after(this.newsDelayMs, () => {
      for (const ear of ears) ear.tell(news);
    });
  }
}

function tokenOf(setCookie: string): string {
  return setCookie.slice(SESSION_COOKIE.length + 1, setCookie.indexOf(';'));
}

await test('one browser on two workers that hear of each other late or never is never signed out', async (t) => {
  let rotations = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(call, { minLength: 5, maxLength: 60, size: 'max' }), async (calls) => {
      const simulation = new Simulation();
      const jar = await simulation.begin();
      let atMs = 0;
      for (const trip of calls) {
        atMs += trip.gapMs;
        simulation.after(atMs, () => simulation.send(jar, trip));
      }
      await simulation.run();
      rotations += simulation.rotations;
      t.strictSame(simulation.refusals, []);
    }),
    { seed: SEED, numRuns: 500 },
  );
  t.ok(rotations > 500, `${rotations} rotations`);
});

await test('a thief on the other worker is found out within the bound and one term, though no news arrives', async (t) => {
  const theft = fc.record({
    stolenAfterMs: fc.integer({ min: 0, max: 2 * R }),
    ownerEveryMs: fc.integer({ min: 100, max: 10_000 }),
    thiefEveryMs: fc.integer({ min: 100, max: 10_000 }),
    adopts: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(theft, async ({ stolenAfterMs, ownerEveryMs, thiefEveryMs, adopts }) => {
      const simulation = new Simulation();
      const trip = { gapMs: 0, requestDelayMs: 1, upstreamMs: 1, responseDelayMs: 1, lost: false };
      const owner = await simulation.begin();
      const beganMs = simulation.clock.now();
      // The bounds of one process (two-jars.test.ts) and one term. A thief who never adopts is given away by the
      // successors that nobody adopts, of which there are only so many.
      const slowMs = Math.min(ownerEveryMs, thiefEveryMs) + reissueGapMs(SETTINGS);
      const patienceMs = adopts ? G : G + (UNADOPTED_LIMIT + 1) * slowMs;
      const boundMs = R + patienceMs + 2 * (ownerEveryMs + thiefEveryMs) + TERM_MS;
      for (let atMs = 0; atMs < stolenAfterMs + 2 * boundMs; atMs += ownerEveryMs)
        simulation.after(atMs, () => simulation.send(owner, { ...trip, worker: 0, newsDelayMs: undefined }));
      simulation.after(stolenAfterMs, () => {
        const stolen = { token: owner.token };
        for (let atMs = 0; atMs < 2 * boundMs; atMs += thiefEveryMs)
          simulation.after(atMs, () => {
            const jar = adopts ? stolen : { token: stolen.token };
            simulation.send(jar, { ...trip, worker: 1, newsDelayMs: undefined });
          });
      });
      await simulation.run();
      const [first] = simulation.refusals;
      const tookMs = (first?.atMs ?? Infinity) - beganMs - stolenAfterMs;
      t.ok(tookMs <= boundMs + 10, `${tookMs} ms of ${boundMs}, ${first?.why}, adopts ${adopts}`);
    }),
    { seed: SEED, numRuns: 150 },
  );
});
