/** An exchange in which the upstream waits for the client. */
export interface SlowExchange {
  /** Ends it, so that somebody else gets the upstream's connection. */
  giveUp(): void;
}

/** Half of a node's connections: the other half is for clients that keep up. */
const MANY = 128;
/** How long an exchange may stand still once there are {@link MANY}. */
const PATIENCE_MS = 2000;
const MOMENT_MS = 250;
/** Nearly all connections of a node: beyond it nobody has time. */
const MOST = 224;

/**
 * Exchanges that hold a connection of the upstream while their client does nothing: it does not take its answer, or
 * does not send its body. A few hundred of them would leave none for anybody else long before their time-outs, so
 * beyond a number the one that has stood still the longest is given up.
 */
export class WaitingClients {
  readonly #waiting = new Map<SlowExchange, number>();
  readonly #now: () => number;
  #timer: NodeJS.Timeout | undefined;

  /** @param now a clock in milliseconds that never jumps. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** An exchange waits for its client from now on. */
  note(exchange: SlowExchange): void {
    const nowMs = this.#now();
    // Bodies that move come here with every chunk; a moment more or less does not matter.
    if (nowMs - (this.#waiting.get(exchange) ?? -Infinity) < MOMENT_MS) return;
    this.#waiting.delete(exchange);
    this.#waiting.set(exchange, nowMs);
    if (this.#waiting.size > MANY) this.relieve();
  }

  /** It waits no more. */
  forget(exchange: SlowExchange): void {
    this.#waiting.delete(exchange);
  }

  /** Gives up whoever has stood still for too long, now and again as long as there are too many. */
  relieve(): void {
    const nowMs = this.#now();
    for (const [oldest, sinceMs] of this.#waiting) {
      const isLate = nowMs - sinceMs >= PATIENCE_MS && this.#waiting.size > MANY;
      if (!isLate && this.#waiting.size <= MOST) break;
      this.#waiting.delete(oldest);
      oldest.giveUp();
    }
    if (this.#waiting.size <= MANY || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.relieve();
    }, PATIENCE_MS / 4).unref();
  }
}

/** One for the process, because the connections of a node are. */
export const waitingClients = new WaitingClients();
