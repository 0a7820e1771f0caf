import type { RetryBudget } from '../upstream/retry-budget.ts';
import { isBrokenConnection, neverConnected } from './upstream-failure.ts';

/** How often a request may be tried. */
export interface Retries {
  /** Tries in all; 1 means that nothing is tried again. */
  readonly attempts: number;
  readonly budget: RetryBudget;
}

/** Counts the tries of one request, and takes second ones out of the budget: one of it, however often it is repeated. */
export class Tries {
  readonly #retries: Retries;
  #count = 0;
  #isRetry = false;
  #isOver = false;

  constructor(retries: Retries) {
    this.#retries = retries;
  }

  /** A try begins. */
  begin(): void {
    if (this.#count === 0) this.#retries.budget.began();
    this.#count++;
  }

  /** The request is over, or its answer was replaced. Said twice, it counts once. */
  end(): void {
    if (this.#isOver || this.#count === 0) return;
    this.#isOver = true;
    this.#retries.budget.ended(this.#isRetry);
  }

  /** Whether a failed try may be followed by another, of which the budget is charged. */
  mayFollow(error: unknown, isReplayable: boolean): boolean {
    if (neverConnected(error)) return this.take();
    return isReplayable && this.#count < this.#retries.attempts && isBrokenConnection(error) && this.take();
  }

  /** Takes a second try out of the budget. */
  take(): boolean {
    if (this.#retries.attempts < 2) return false;
    this.#isRetry ||= this.#retries.budget.take();
    return this.#isRetry;
  }
}
