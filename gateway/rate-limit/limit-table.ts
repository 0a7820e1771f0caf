import type { Clock } from '../core/clock.ts';
import { ParallelLimit, type ParallelRule } from './parallel-limit.ts';
import type { SharedCounts } from './shared-counts.ts';
import { type FailureRule, type FailuresBy, SignInLimit } from './sign-in-limit.ts';
import { WindowLimit } from './window-limit.ts';
import type { WindowRate } from './window-rate.ts';

/** The counters of every limit in force. They outlive a reload of the policies that leaves their limit as it is. */
export class LimitTable {
  readonly #clock: Clock;
  readonly #shared: SharedCounts | undefined;
  readonly #byRate = new WeakMap<WindowRate, WindowLimit>();
  readonly #byText = new Map<string, WindowLimit>();
  readonly #places = new WeakMap<ParallelRule, ParallelLimit>();
  readonly #placesByText = new Map<string, ParallelLimit>();
  readonly #signIns = new Map<string, SignInLimit>();

  /** @param shared where counts go beyond this process; absent where nobody shares or keeps them. */
  constructor(clock: Clock, shared: SharedCounts | undefined) {
    this.#clock = clock;
    this.#shared = shared;
  }

  /** The clock that windows go by. */
  now(): number {
    return this.#clock.now();
  }

  /** The counter of a limit; one look-up once it is known. */
  find(rate: WindowRate): WindowLimit {
    return this.#byRate.get(rate) ?? this.#make(rate);
  }

  /** The places of a limit of requests at once; one look-up once it is known. */
  places(rule: ParallelRule): ParallelLimit {
    const known = this.#places.get(rule);
    if (known !== undefined) return known;
    const text = `${rule.name} ${rule.most}`;
    const limit = this.#placesByText.get(text) ?? new ParallelLimit(rule);
    this.#placesByText.set(text, limit);
    this.#places.set(rule, limit);
    return limit;
  }

  /** The counter of failed sign-ins of a rule. */
  signIn(rule: FailureRule, by: FailuresBy): SignInLimit {
    const text = `${by} ${rule.name} ${rule.count}/${rule.windowMs} ${rule.blockMs}`;
    let limit = this.#signIns.get(text);
    if (limit === undefined)
      this.#signIns.set(text, (limit = new SignInLimit(rule, by, this.#clock, this.#shared)));
    return limit;
  }

  /** Tells the store what it has not heard yet. */
  async close(): Promise<void> {
    await Promise.all([...this.#byText.values(), ...this.#signIns.values()].map((limit) => limit.close()));
  }

  #make(rate: WindowRate): WindowLimit {
    const text = `${rate.name} ${rate.count}/${rate.windowMs}`;
    const limit = this.#byText.get(text) ?? new WindowLimit(rate, this.#clock, this.#shared);
    this.#byText.set(text, limit);
    this.#byRate.set(rate, limit);
    return limit;
  }
}
