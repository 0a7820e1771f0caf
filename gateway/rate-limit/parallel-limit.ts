import { GatewayError } from '../core/gateway-error.ts';

/** How long a request may wait for its turn, in ms. */
const WAIT_MS = 5000;
/** As many times the requests at once may wait. */
const QUEUE_SHARE = 3;
/** Beyond so many holders, those without a request are forgotten. */
const HOLDER_LIMIT = 10_000;

/** So many requests at once. */
export interface ParallelRule {
  readonly name: string;
  readonly most: number;
}

interface Waiting {
  resolve(): void;
  readonly timer: NodeJS.Timeout;
}

interface Holder {
  open: number;
  readonly queue: Waiting[];
}

/**
 * Requests at once of one holder (a session, say). Further ones wait for their turn in the order in which they came:
 * three times as many as may run, each for 5 s at most; the rest are refused. Of this process alone.
 */
export class ParallelLimit {
  /** The policy's name of the limit. */
  readonly name: string;
  readonly #most: number;
  readonly #holders = new Map<string, Holder>();

  constructor({ name, most }: ParallelRule) {
    this.name = name;
    this.#most = most;
  }

  /**
   * Takes a place. Each place must be given back by {@link leave}, once.
   *
   * @returns nothing when there is one now; otherwise a promise of one.
   * @throws GatewayError `rate_limited` when too many wait; the promise rejects with it after 5 s.
   */
  enter(name: string): Promise<void> | undefined {
    let holder = this.#holders.get(name);
    if (holder === undefined) {
      if (this.#holders.size >= HOLDER_LIMIT) this.#sweep();
      holder = { open: 0, queue: [] };
      this.#holders.set(name, holder);
    }
    if (holder.open < this.#most) {
      holder.open += 1;
      return undefined;
    }
    if (holder.queue.length >= this.#most * QUEUE_SHARE) throw this.#refusal();
    return this.#wait(holder);
  }

  /** Gives a place back, to whoever waited longest if anybody does. */
  leave(name: string): void {
    const holder = this.#holders.get(name);
    if (holder === undefined) return;
    const next = holder.queue.shift();
    if (next === undefined) {
      holder.open -= 1;
      return;
    }
    clearTimeout(next.timer);
    next.resolve();
  }

  #wait({ queue }: Holder): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        queue.splice(queue.indexOf(waiting), 1);
        reject(this.#refusal());
      }, WAIT_MS).unref();
      const waiting = { resolve, timer };
      queue.push(waiting);
    });
  }

  #refusal(): GatewayError {
    const message = `limit "${this.name}": ${this.#most} requests are under way and others wait`;
    return new GatewayError('rate_limited', message, { retryAfterSeconds: 1 });
  }

  #sweep(): void {
    for (const [name, { open, queue }] of this.#holders)
      if (open === 0 && queue.length === 0) this.#holders.delete(name);
  }
}
