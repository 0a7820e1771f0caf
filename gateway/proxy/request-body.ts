import { Readable } from 'node:stream';

import { GatewayError } from '../core/gateway-error.ts';
import { chunkGarbage } from '../core/chunk-garbage.ts';
import type { Exchange } from './exchange.ts';
import { type SlowExchange, waitingClients } from './waiting-clients.ts';

/** What a client has to send of a body at least, on average over `idleMs`. */
const LEAST_BYTES_A_SECOND = 240;
const MOVED_BYTES = 1024;

/** Bounds on a request body. */
export interface BodyLimits {
  readonly limitBytes: number;
  /** How long the client may send next to nothing while we wait for it, in milliseconds. */
  readonly idleMs: number;
}

/**
 * A request body on its way to the upstream: counted, bounded, back-pressured. A wrapper rather than the client's own
 * stream, because whoever fails to send it destroys it, and the client must still get an answer.
 */
export class RequestBody extends Readable implements SlowExchange {
  receivedBytes = 0;
  readonly #exchange: Exchange;
  readonly #limits: BodyLimits;
  readonly #idle: NodeJS.Timeout;
  /** Bytes since the time-out began anew, and since the client was last seen to move. */
  #freshBytes = 0;
  #movedBytes = 0;
  #held: Buffer[] = [];
  #isHolding = true;
  #isComplete = false;
  #whenHeld: (() => void) | undefined;

  constructor(exchange: Exchange, limits: BodyLimits) {
    super({ highWaterMark: 64 * 1024 });
    this.#exchange = exchange;
    this.#limits = limits;
    this.#idle = setTimeout(() => this.#timeOut(), limits.idleMs).unref();
    exchange.source.on('data', (chunk: Buffer) => this.#take(chunk));
    exchange.source.on('end', () => this.#finish());
    exchange.source.on('close', () => this.#abandon());
    exchange.source.on('error', () => this.#abandon());
    exchange.source.pause();
    // Without a listener a body that fails before anybody reads it would end the process.
    this.on('error', () => undefined);
  }

  /**
   * Reads the whole body if it is small, without taking it away from later readers.
   *
   * @returns the body, or `undefined` when it is longer than `mostBytes`.
   * @throws GatewayError `request_timeout`, `bad_request` when the client stops sending.
   */
  async peek(mostBytes: number): Promise<Buffer | undefined> {
    this.#exchange.sendContinue();
    let heldBytes = 0;
    while (!this.#isComplete && heldBytes <= mostBytes) {
      await new Promise<void>((resolve) => {
        this.#whenHeld = resolve;
        if (this.destroyed) resolve();
        else this.#exchange.source.resume();
      });
      heldBytes = this.#held.reduce((sum, chunk) => sum + chunk.byteLength, 0);
      if (this.destroyed) {
        throw this.errored ?? new GatewayError('bad_request', 'the client stopped sending its body');
      }
    }
    this.#exchange.source.pause();
    return heldBytes <= mostBytes ? Buffer.concat(this.#held) : undefined;
  }

  override _read(): void {
    this.#exchange.sendContinue();
    this.#isHolding = false;
    const held = this.#held;
    this.#held = [];
    let hasRoom = true;
    for (const chunk of held) hasRoom = this.push(chunk);
    if (this.#isComplete) this.push(null);
    else if (hasRoom) {
      // What the upstream took its time for is not the client's silence.
      if (this.#exchange.source.isPaused()) this.#idle.refresh();
      waitingClients.note(this);
      this.#exchange.source.resume();
    }
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    clearTimeout(this.#idle);
    waitingClients.forget(this);
    this.#held = [];
    this.#wake();
    callback(error);
  }

  #take(chunk: Buffer): void {
    if (this.destroyed) return;
    this.#move(chunk.byteLength);
    this.receivedBytes += chunk.byteLength;
    chunkGarbage.count(chunk.byteLength);
    if (this.receivedBytes > this.#limits.limitBytes) {
      this.#exchange.source.pause();
      this.destroy(
        new GatewayError('body_too_large', `the body is longer than ${this.#limits.limitBytes} bytes`),
      );
      return;
    }
    if (this.#isHolding) {
      this.#held.push(chunk);
      this.#exchange.source.pause();
      this.#wake();
    } else if (!this.push(chunk)) {
      waitingClients.forget(this);
      this.#exchange.source.pause();
    }
  }

  /** A byte now and then is not a body that moves: it would hold a connection of the upstream for days. */
  #move(bytes: number): void {
    this.#freshBytes += bytes;
    this.#movedBytes += bytes;
    if (this.#freshBytes >= (this.#limits.idleMs / 1000) * LEAST_BYTES_A_SECOND) {
      this.#freshBytes = 0;
      this.#idle.refresh();
    }
    if (this.#movedBytes < MOVED_BYTES || this.#isHolding) return;
    this.#movedBytes = 0;
    waitingClients.note(this);
  }

  giveUp(): void {
    this.destroy(new GatewayError('request_timeout', 'the body stood still while others waited'));
  }

  #finish(): void {
    this.#isComplete = true;
    clearTimeout(this.#idle);
    waitingClients.forget(this);
    if (this.#isHolding) this.#wake();
    else if (!this.destroyed) this.push(null);
  }

  #abandon(): void {
    if (this.#isComplete || this.destroyed) return;
    this.destroy(new GatewayError('bad_request', 'the client went away in the middle of its body'));
  }

  #timeOut(): void {
    // While the upstream is the slow one, the client cannot be blamed for silence.
    if (this.#exchange.source.isPaused()) this.#idle.refresh();
    else
      this.destroy(
        new GatewayError('request_timeout', `too little of the body came in ${this.#limits.idleMs} ms`),
      );
  }

  #wake(): void {
    const whenHeld = this.#whenHeld;
    this.#whenHeld = undefined;
    whenHeld?.();
  }
}
