/** An exchange in which the upstream waits for the client. */
export interface SlowExchange {
  /** Ends it, so that somebody else gets the upstream's connection. */
  giveUp(): void;
}

/** Half of a node's connections: the other half is for clients that keep up. */
const MOST = 128;
/** How long an exchange may stand still before it can be given up for others. */
const PATIENCE_MS = 2000;

/**
 * Exchanges that hold a connection of the upstream while their client does nothing: it does not take its answer, or
 * does not send its body. A few hundred of them would leave none for anybody else long before their time-outs, so
 * beyond a number the one that has stood still the longest is given up.
 */
class WaitingClients {
  readonly #waiting = new Map<SlowExchange, number>();

  /** An exchange waits for its client from now on. */
  note(exchange: SlowExchange): void {
    this.#waiting.delete(exchange);
    const nowMs = performance.now();
    this.#waiting.set(exchange, nowMs);
    if (this.#waiting.size <= MOST) return;
    for (const [oldest, sinceMs] of this.#waiting) {
      if (nowMs - sinceMs < PATIENCE_MS) return;
      this.#waiting.delete(oldest);
      oldest.giveUp();
      return;
    }
  }

  /** It waits no more. */
  forget(exchange: SlowExchange): void {
    this.#waiting.delete(exchange);
  }
}

/** One for the process, because the connections of a node are. */
export const waitingClients = new WaitingClients();
