import type { Clock } from '../core/clock.ts';
import type { SharedCounts } from './shared-counts.ts';
import { WindowLimit } from './window-limit.ts';

/** By what failed sign-ins are counted; `device` is a client that signed this person in before. */
export type FailuresBy = 'client' | 'subject' | 'account' | 'device';

/** How many sign-ins may fail; the policy's `failures: 10/15m, block: 15m` fits. */
export interface FailureRule {
  readonly name: string;
  readonly count: number;
  readonly windowMs: number;
  /** How long the first block lasts. */
  readonly blockMs: number;
}

/** A block that began. */
export interface SignInBlock {
  /** How many there were lately, this one counted. */
  readonly nth: number;
  readonly forMs: number;
}

const LONGEST_MS = 24 * 3_600_000;
const MOST_BLOCKS = 1_000_000;

/**
 * Counts failed sign-ins of a client, a name, an account or a known device. An attempt takes its place before it is
 * made and gives it back when it succeeds, so a thousand guesses at once count as a thousand. When all places of the
 * window are used up the door closes, each time twice as long as the time before, up to 24 hours (or the policy's
 * `block`, if that is longer); blocks are forgotten two such times after the first.
 */
export class SignInLimit {
  readonly #failures: WindowLimit;
  readonly #blocks: WindowLimit;
  readonly #blockMs: number;
  readonly #longestMs: number;
  readonly #clock: Clock;
  readonly #isCommon: boolean;

  constructor(rule: FailureRule, by: FailuresBy, clock: Clock, shared?: SharedCounts) {
    const { name, count, windowMs, blockMs } = rule;
    this.#clock = clock;
    this.#isCommon = shared?.isCommon === true;
    this.#blockMs = blockMs;
    this.#longestMs = Math.max(LONGEST_MS, blockMs);
    const failures = { name: `${name}:failures:${by}`, count, windowMs };
    const blocks = { name: `${name}:blocks:${by}`, count: MOST_BLOCKS, windowMs: 2 * this.#longestMs };
    this.#failures = new WindowLimit(failures, clock, shared, true);
    this.#blocks = new WindowLimit(blocks, clock, shared, true);
  }

  /**
   * Takes the place of an attempt. Where several processes count, it waits for what all of them counted: a sign-in has
   * the time, and guesses must not be spread. While the store is away each process counts alone.
   *
   * @returns how long the door is closed, in ms; 0 when it is open.
   */
  attempt(name: string): number | Promise<number> {
    const slot = this.#failures.look(name);
    if (slot.remaining > 0) {
      if (this.#isCommon) return this.#attemptEverywhere(name);
      this.#failures.spend(name, 1);
      return 0;
    }
    // Another process may have closed it for longer.
    this.#failures.ask(name);
    return Math.max(1, slot.endsMs - this.#clock.now());
  }

  async #attemptEverywhere(name: string): Promise<number> {
    const counted = await this.#failures.countAll(name);
    const slot = this.#failures.look(name);
    if (counted <= this.#failures.rate.count) return 0;
    this.#failures.spend(name, -1);
    return Math.max(1, slot.endsMs - this.#clock.now());
  }

  /** The attempt was none that failed. */
  giveBack(name: string): void {
    this.#failures.spend(name, -1);
  }

  /** The attempt failed. @returns the block that this began, if it did. Never rejects. */
  async failed(name: string): Promise<SignInBlock | undefined> {
    const slot = this.#failures.look(name);
    if (slot.remaining > 0 || slot.isTold) return undefined;
    slot.isTold = true;
    const nth = await this.#blocks.countAll(name);
    const forMs = Math.min(this.#longestMs, this.#blockMs * 2 ** Math.min(nth - 1, 40));
    this.#failures.block(name, forMs);
    return { nth, forMs };
  }

  /** Tells what is untold, and stops. */
  async close(): Promise<void> {
    await Promise.all([this.#failures.close(), this.#blocks.close()]);
  }
}
