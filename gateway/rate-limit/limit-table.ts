import type { Clock } from '../core/clock.ts';
import type { LimitStore } from './limit-store.ts';
import { RequestLimit, type RequestRate } from './request-limit.ts';

/** The counters of every limit in force. They outlive a reload of the policies that leaves their limit as it is. */
export class LimitTable {
  readonly #clock: Clock;
  readonly #shared: LimitStore | undefined;
  readonly #byRate = new WeakMap<RequestRate, RequestLimit>();
  readonly #byText = new Map<string, RequestLimit>();

  /** @param shared where several gateways count together; absent where this one counts alone. */
  constructor(clock: Clock, shared: LimitStore | undefined) {
    this.#clock = clock;
    this.#shared = shared;
  }

  /** The clock that windows go by. */
  now(): number {
    return this.#clock.now();
  }

  /** The counter of a limit; one look-up once it is known. */
  find(rate: RequestRate): RequestLimit {
    return this.#byRate.get(rate) ?? this.#make(rate);
  }

  #make(rate: RequestRate): RequestLimit {
    const text = `${rate.name} ${rate.count}/${rate.windowMs}`;
    const limit = this.#byText.get(text) ?? new RequestLimit(rate, this.#clock, this.#shared);
    this.#byText.set(text, limit);
    this.#byRate.set(rate, limit);
    return limit;
  }
}
