import type { Clock } from '../core/clock.ts';
import type { SharedCounts } from './shared-counts.ts';
import type { WindowRate } from './window-rate.ts';

/** Where one of those who are counted stands; the same object for all of a window. */
export interface LimitSlot {
  /** What is left in the window; 0 or less when there is nothing, below 0 when a request was refused or overdrew. */
  readonly remaining: number;
  /** When the window ends, in ms. */
  readonly endsMs: number;
  /** Whether somebody was told already that nothing is left; the teller sets it. */
  isTold: boolean;
}

/** The strictest limit that a request was counted under, for the headers of its answer. */
export interface CountedLimit {
  readonly rate: WindowRate;
  readonly slot: LimitSlot;
  /** When it was counted, in ms. */
  readonly atMs: number;
}

class Slot implements LimitSlot {
  endsMs = 0;
  remaining = 0;
  isTold = false;
  /** Of this process, not yet told to the others. */
  unsent = 0;
  isDirty = false;
}

/** How often what was counted is told, in ms, and what share of a limit may stay untold. */
const FLUSH_MS = 20;
const UNTOLD_SHARE = 20;
/** Windows of this length are remembered over a restart where nobody else counts. */
const REMEMBERED_MS = 300_000;
/** Who is new here may be known elsewhere: in windows of at least this length somebody asks, behind the request. */
const ASKED_MS = 30_000;
/** Most slots; beyond it those whose window is over go first. */
const SLOT_LIMIT = 100_000;

/**
 * Counts in fixed windows that begin with the first request. The decision is made here and now, from a table; several
 * processes tell each other behind the request's back what they counted, over the store. A limit may so be exceeded by
 * what arrives elsewhere before it is told: for each further process a twentieth of the limit, and what comes within
 * about 20 ms. The same holds after a restart, before the store has answered for the first time. While the store is
 * away each process counts alone. Synchronous; about a tenth of a microsecond once a slot is known.
 */
export class WindowLimit {
  readonly rate: WindowRate;
  readonly #clock: Clock;
  readonly #slots = new Map<string, Slot>();
  readonly #tellFrom: number;
  readonly #shared: SharedCounts | undefined;
  readonly #asks: boolean;
  readonly #dirty = new Map<string, Slot>();
  #timer: NodeJS.Timeout | undefined;

  /**
   * @param shared where counts go beyond this process; absent where nobody shares or keeps them.
   * @param isKept whether a restart must not forget them, although nobody else counts.
   */
  constructor(
    rate: WindowRate,
    clock: Clock,
    shared?: SharedCounts,
    isKept = rate.windowMs >= REMEMBERED_MS,
  ) {
    this.rate = rate;
    this.#clock = clock;
    this.#tellFrom = Math.max(1, Math.floor(rate.count / UNTOLD_SHARE));
    this.#shared = shared?.isCommon === true || isKept ? shared : undefined;
    this.#asks = this.#shared !== undefined && rate.windowMs >= ASKED_MS;
  }

  /** Counts one request of somebody. @returns where they stand; `remaining` is below 0 when it is one too many. */
  take(name: string): LimitSlot {
    const slot = this.#slot(name);
    if (slot.remaining <= 0) {
      slot.remaining = -1;
      return slot;
    }
    slot.remaining -= 1;
    if (this.#shared !== undefined) this.#note(name, slot, 1);
    return slot;
  }

  /** Where somebody stands; counts nothing. */
  look(name: string): LimitSlot {
    return this.#slot(name);
  }

  /**
   * Counts what is known only afterwards, also beyond the limit; a negative amount gives back.
   *
   * @returns where they stand.
   */
  spend(name: string, amount: number): LimitSlot {
    const slot = this.#slot(name);
    slot.remaining = Math.min(this.rate.count, slot.remaining - amount);
    if (this.#shared !== undefined) this.#note(name, slot, amount);
    return slot;
  }

  /** Asks the others where somebody stands, behind the request. */
  ask(name: string): void {
    if (this.#shared !== undefined) this.#mark(name, this.#slot(name));
  }

  /** Counts one and waits for what the others say. @returns how many there are in the window. Never rejects. */
  async countAll(name: string): Promise<number> {
    const slot = this.#slot(name);
    slot.remaining -= 1;
    const here = this.rate.count - slot.remaining;
    try {
      const state = await this.#shared?.add(this.rate, name, 1);
      if (state !== undefined) {
        slot.remaining = Math.min(slot.remaining, this.rate.count - state.counted);
        slot.endsMs = this.#clock.now() + state.leftMs;
      }
      return Math.max(here, state?.counted ?? 0);
    } catch {
      return here;
    }
  }

  /** Leaves nothing to somebody for so long from now, here and everywhere. */
  block(name: string, forMs: number): void {
    const slot = this.#slot(name);
    slot.remaining = Math.min(slot.remaining, 0);
    slot.endsMs = this.#clock.now() + forMs;
    // A store that is away hears nothing, and this process blocks alone.
    this.#shared?.block(this.rate, name, forMs).catch(() => undefined);
  }

  /** Tells what is untold, and stops. */
  async close(): Promise<void> {
    for (const [name, slot] of this.#slots) if (slot.unsent !== 0) this.#dirty.set(name, slot);
    clearTimeout(this.#timer);
    await Promise.all(this.#flush());
    this.#slots.clear();
  }

  #slot(name: string): Slot {
    const nowMs = this.#clock.now();
    let slot = this.#slots.get(name);
    if (slot === undefined) {
      slot = new Slot();
      if (this.#slots.size >= SLOT_LIMIT) this.#sweep(nowMs);
      this.#slots.set(name, slot);
      this.#renew(slot, nowMs);
      if (this.#asks) this.#mark(name, slot);
    } else if (nowMs >= slot.endsMs) this.#renew(slot, nowMs);
    return slot;
  }

  #renew(slot: Slot, nowMs: number): void {
    slot.endsMs = nowMs + this.rate.windowMs;
    slot.remaining = this.rate.count;
    slot.unsent = 0;
    slot.isTold = false;
  }

  #note(name: string, slot: Slot, amount: number): void {
    slot.unsent += amount;
    if (slot.isDirty) return;
    // That nothing is left is told at once: what is untold here is to be had there.
    if (slot.remaining <= 0 || Math.abs(slot.unsent) >= this.#tellFrom) this.#mark(name, slot);
  }

  #mark(name: string, slot: Slot): void {
    if (slot.isDirty) return;
    slot.isDirty = true;
    this.#dirty.set(name, slot);
    this.#timer ??= setTimeout(() => void this.#flush(), FLUSH_MS).unref();
  }

  #flush(): Promise<void>[] {
    this.#timer = undefined;
    const told: Promise<void>[] = [];
    for (const [name, slot] of this.#dirty) {
      slot.isDirty = false;
      const { unsent, endsMs } = slot;
      slot.unsent = 0;
      // A store that is away says nothing, and this process counts alone.
      told.push(this.#tell(name, slot, unsent, endsMs).catch(() => undefined));
    }
    this.#dirty.clear();
    return told;
  }

  async #tell(name: string, slot: Slot, amount: number, endsMs: number): Promise<void> {
    const state = await this.#shared?.add(this.rate, name, amount);
    // The window may have ended meanwhile; the next one starts from nothing.
    if (state === undefined || slot.endsMs !== endsMs) return;
    slot.remaining = Math.min(slot.remaining, this.rate.count - state.counted - slot.unsent);
    slot.endsMs = this.#clock.now() + state.leftMs;
  }

  #sweep(nowMs: number): void {
    for (const [name, slot] of this.#slots) if (slot.endsMs <= nowMs) this.#slots.delete(name);
    const [oldest] = this.#slots.keys();
    if (this.#slots.size >= SLOT_LIMIT && oldest !== undefined) this.#slots.delete(oldest);
  }
}
