import { RateLimiterRedis } from 'rate-limiter-flexible';

import type { Clock } from '../core/clock.ts';
import type { LimitStore } from './limit-store.ts';

/** So many requests in a window; the policy's `requests: 7/1s` fits. */
export interface RequestRate {
  /** Names the limit in headers, metrics and the store. */
  readonly name: string;
  readonly count: number;
  readonly windowMs: number;
}

/** Where one of those who are counted stands; the same object for all of a window's requests. */
export interface LimitSlot {
  /** Requests that are left in the window; below 0 when the last one was too many. */
  readonly remaining: number;
  /** When the window ends, in ms. */
  readonly endsMs: number;
}

/** The strictest limit that a request was counted under, for the headers of its answer. */
export interface CountedLimit {
  readonly rate: RequestRate;
  readonly slot: LimitSlot;
  /** When it was counted, in ms. */
  readonly atMs: number;
}

class Slot implements LimitSlot {
  endsMs = 0;
  remaining = 0;
  /** Of this node, not yet told to the others. */
  unsent = 0;
  isDirty = false;
}

/** How often what was counted is told, in ms, and what share of a limit may stay untold. */
const FLUSH_MS = 20;
const UNTOLD_SHARE = 20;
/** Most slots; beyond it those whose window is over go first. */
const SLOT_LIMIT = 100_000;

/**
 * Counts requests in fixed windows that begin with the first request. The decision is made here and now, from a
 * table; several gateways tell each other behind the request's back what they counted, over the store
 * (rate-limiter-flexible). A limit may so be exceeded by what arrives elsewhere before it is told: for each further
 * node a twentieth of the limit, and what comes within about 20 ms. While the store is away each node counts alone.
 * Synchronous; about a tenth of a microsecond once a slot is known.
 */
export class RequestLimit {
  readonly rate: RequestRate;
  readonly #clock: Clock;
  readonly #slots = new Map<string, Slot>();
  readonly #tellFrom: number;
  readonly #limiter: RateLimiterRedis | undefined;
  readonly #hide: (name: string) => string;
  readonly #dirty = new Map<string, Slot>();
  #timer: NodeJS.Timeout | undefined;

  /** @param shared where several gateways count together; absent where this process counts alone. */
  constructor(rate: RequestRate, clock: Clock, shared?: LimitStore) {
    this.rate = rate;
    this.#clock = clock;
    this.#tellFrom = Math.max(1, Math.floor(rate.count / UNTOLD_SHARE));
    this.#hide = (name) => shared?.hide(`${rate.name}\n${name}`) ?? name;
    this.#limiter =
      shared === undefined
        ? undefined
        : new RateLimiterRedis({
            storeClient: shared.client,
            keyPrefix: `${shared.prefix}:${rate.name}`,
            points: rate.count,
            duration: rate.windowMs / 1000,
          });
  }

  /** Counts one request of somebody. @returns where they stand; `remaining` is below 0 when it is one too many. */
  take(name: string): LimitSlot {
    const nowMs = this.#clock.now();
    let slot = this.#slots.get(name);
    if (slot === undefined) {
      slot = new Slot();
      if (this.#slots.size >= SLOT_LIMIT) this.#sweep(nowMs);
      this.#slots.set(name, slot);
    }
    if (nowMs >= slot.endsMs) {
      slot.endsMs = nowMs + this.rate.windowMs;
      slot.remaining = this.rate.count;
      slot.unsent = 0;
    }
    if (slot.remaining <= 0) {
      slot.remaining = -1;
      return slot;
    }
    slot.remaining -= 1;
    if (this.#limiter !== undefined) this.#note(name, slot);
    return slot;
  }

  /** Stops telling. */
  close(): void {
    clearTimeout(this.#timer);
    this.#slots.clear();
  }

  #note(name: string, slot: Slot): void {
    slot.unsent += 1;
    if (slot.isDirty || slot.unsent < this.#tellFrom) return;
    slot.isDirty = true;
    this.#dirty.set(name, slot);
    this.#timer ??= setTimeout(() => this.#flush(), FLUSH_MS).unref();
  }

  #flush(): void {
    this.#timer = undefined;
    for (const [name, slot] of this.#dirty) {
      slot.isDirty = false;
      const { unsent, endsMs } = slot;
      slot.unsent = 0;
      // A store that is away says nothing, and this node counts alone.
      this.#tell(name, slot, unsent, endsMs).catch(() => undefined);
    }
    this.#dirty.clear();
  }

  async #tell(name: string, slot: Slot, count: number, endsMs: number): Promise<void> {
    const told = await this.#limiter?.penalty(this.#hide(name), count);
    // The window may have ended meanwhile; the next one starts from nothing.
    if (told === undefined || slot.endsMs !== endsMs) return;
    slot.remaining = Math.min(slot.remaining, this.rate.count - told.consumedPoints - slot.unsent);
    slot.endsMs = this.#clock.now() + Math.max(1, told.msBeforeNext);
  }

  #sweep(nowMs: number): void {
    for (const [name, slot] of this.#slots) if (slot.endsMs <= nowMs) this.#slots.delete(name);
    const [oldest] = this.#slots.keys();
    if (this.#slots.size >= SLOT_LIMIT && oldest !== undefined) this.#slots.delete(oldest);
  }
}
