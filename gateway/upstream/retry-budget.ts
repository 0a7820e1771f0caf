/** Share of the requests under way that may be second tries, and how many always may be. */
const SHARE = 0.2;
const ALWAYS = 10;

/**
 * Bounds second tries: a CRM that is down gets a fifth more requests and not twice as many. Counts the requests of
 * this process that are at an upstream.
 */
export class RetryBudget {
  readonly #onRefused: () => void;
  #live = 0;
  #retrying = 0;

  /** @param onRefused called when nothing was left of the budget; must not throw. */
  constructor(onRefused: () => void) {
    this.#onRefused = onRefused;
  }

  /** A request went to an upstream. */
  began(): void {
    this.#live++;
  }

  /** It is over. @param wasRetry whether {@link take} had let it be tried again. */
  ended(wasRetry: boolean): void {
    this.#live--;
    if (wasRetry) this.#retrying--;
  }

  /** Takes one second try out of the budget. @returns whether there was one. */
  take(): boolean {
    if (this.#retrying >= Math.max(ALWAYS, this.#live * SHARE)) {
      this.#onRefused();
      return false;
    }
    this.#retrying++;
    return true;
  }
}
