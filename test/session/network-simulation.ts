import { UNADOPTED_LIMIT, familyTransitions, newFamily } from '../../gateway/session/rotate.ts';
import type { FamilyLimits, FamilyState } from '../../gateway/store/session-store.ts';
import { LIFETIME_MS } from './family-driver.ts';

/** One request on its way through a slow and lossy network, all in ms. */
export interface Trip {
  readonly requestDelayMs: number;
  readonly upstreamMs: number;
  readonly responseDelayMs: number;
  /** Neither the answer nor its Set-Cookie arrives: aborted, navigated away, connection lost. */
  readonly lost: boolean;
}

/** A browser, or whoever copied its jar: one cookie, and what became of it. */
export interface Jar {
  token: string;
  refusals: string[];
}

interface Event {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

/**
 * A gateway with one family, and jars that speak to it over a network with delays. Events run in order of time;
 * a Set-Cookie takes effect when it arrives, which is not the order in which it was sent.
 */
export class NetworkSimulation {
  nowMs = 1_000_000;
  state: FamilyState = newFamily(this.nowMs, 'id0', this.nowMs + LIFETIME_MS);
  readonly outcomes = new Map<string, number>();
  /** When the family ended; `undefined` while it lives. */
  diedMs: number | undefined = undefined;
  /** Whether the network spares a browser whose answers were lost so often that the gateway would call it a copy. */
  readonly #merciful: boolean;
  readonly #limits: FamilyLimits;
  readonly #queue: Event[] = [];
  #order = 0;
  #issued = 0;

  constructor(limits: FamilyLimits, merciful: boolean) {
    this.#limits = limits;
    this.#merciful = merciful;
  }

  /** Runs something later. */
  after(delayMs: number, run: () => void): void {
    const event = { atMs: this.nowMs + delayMs, order: (this.#order += 1), run };
    const later = this.#queue.findIndex((other) => other.atMs > event.atMs);
    this.#queue.splice(later === -1 ? this.#queue.length : later, 0, event);
  }

  /** Runs events until none is left, the family is dead and all know it, or the time is over. */
  run(untilMs: number): void {
    for (let event = this.#queue.shift(); event !== undefined; event = this.#queue.shift()) {
      if (event.atMs > untilMs) return;
      this.nowMs = event.atMs;
      event.run();
    }
  }

  /** Sends a request with what the jar holds now. */
  send(jar: Jar, trip: Trip, adopts = true): void {
    const { token } = jar;
    this.after(trip.requestDelayMs, () => {
      const [outcome, state] = familyTransitions.use(this.state, this.nowMs, token, false, this.#limits);
      this.#note(outcome, state);
      if (!outcome.startsWith('ok')) jar.refusals.push(outcome);
      else this.after(trip.upstreamMs, () => this.#answer(jar, token, outcome, trip, adopts));
    });
  }

  #answer(jar: Jar, token: string, outcome: string, trip: Trip, adopts: boolean): void {
    if (outcome !== 'ok_due' || (this.#merciful && this.state.unadopted >= UNADOPTED_LIMIT)) return;
    const child = `id${this.#issued + 1}`;
    const [issued, state] = familyTransitions.issue(this.state, this.nowMs, token, child, this.#limits);
    this.#note(issued, state);
    if (issued === 'stubborn') jar.refusals.push(issued);
    if (issued !== 'set') return;
    this.#issued += 1;
    if (trip.lost || !adopts) return;
    this.after(trip.responseDelayMs, () => {
      jar.token = child;
    });
  }

  #note(outcome: string, state: FamilyState): void {
    this.outcomes.set(outcome, (this.outcomes.get(outcome) ?? 0) + 1);
    if (this.state.status === 'active' && state.status === 'dead') this.diedMs = this.nowMs;
    this.state = state;
  }
}
