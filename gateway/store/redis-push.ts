import type { Redis } from 'ioredis';
import type { RedisConnection } from './redis-connection.ts';
import { PUSH_CHANNEL, beatChannel } from './redis-keys.ts';

/** How often the way of a push is tried out, in ms. */
const BEAT_MS = 500;
/** A way that was last found open longer ago than this counts as closed, in ms. */
const TRUST_MS = 1000;

/** Told of what other nodes did. */
export interface PushListener {
  ended(id: string, reason: string): void;
  stale(id: string): void;
  /** An API key changed. */
  keyChanged(lineage: string): void;
  /** A record of this kind changed. */
  recordChanged(kind: string): void;
  /** Messages may have been lost, and come again from now on. */
  resumed(): void;
}

/**
 * Hears what other nodes did to families. Pub/sub delivers at most once, so the way is tried out all the time: a
 * beat is published on every primary and must come back on the subscriber's connection. Messages of one primary
 * come in order, so a beat that came back says that everything before it came too.
 */
export class RedisPush {
  readonly #connection: RedisConnection;
  readonly #node: string;
  readonly #listener: PushListener;
  readonly #timer: NodeJS.Timeout;
  /** For each primary, when the newest beat that came back was sent (monotonic ms). */
  readonly #answered = new Map<string, number>();
  #subscriber: Redis | undefined;
  #wasAlive = false;
  #isClosed = false;

  constructor(connection: RedisConnection, node: string, listener: PushListener) {
    this.#connection = connection;
    this.#node = node;
    this.#listener = listener;
    this.#subscribe();
    this.#timer = setInterval(() => this.#beat(), BEAT_MS).unref();
  }

  /** Whether pushes arrive; while they may be lost, every request has to ask the store. */
  isAlive(): boolean {
    if (!this.#wasAlive) return false;
    const openSince = performance.now() - TRUST_MS;
    for (const sentMs of this.#answered.values()) {
      if (sentMs < openSince) return this.#lose();
    }
    return true;
  }

  close(): void {
    this.#isClosed = true;
    clearInterval(this.#timer);
    this.#subscriber?.disconnect();
  }

  #lose(): false {
    this.#wasAlive = false;
    return false;
  }

  #subscribe(): void {
    if (this.#isClosed) return;
    const subscriber = this.#connection.subscriber();
    this.#subscriber = subscriber;
    if (subscriber === undefined) {
      setTimeout(() => this.#subscribe(), BEAT_MS / 5).unref();
      return;
    }
    subscriber.on('error', () => undefined);
    subscriber.on('message', (channel, text) => this.#hear(channel, text));
    subscriber.on('close', () => this.#forget());
    subscriber.on('end', () => {
      // Only a cluster's subscriber gives up, so that another node takes over.
      setTimeout(() => this.#subscribe(), BEAT_MS / 5).unref();
    });
    subscriber.once('ready', () => {
      subscriber
        .subscribe(PUSH_CHANNEL, beatChannel(this.#node))
        .then(() => this.#beat())
        // The connection is broken then: it closes, and what follows a close follows.
        .catch(() => subscriber.disconnect(true));
    });
    subscriber.connect().catch(() => undefined);
  }

  #forget(): void {
    this.#lose();
    this.#answered.clear();
  }

  #beat(): void {
    const channel = beatChannel(this.#node);
    const primaries = this.#connection.primaries();
    for (const address of this.#answered.keys()) {
      if (!primaries.has(address)) this.#answered.delete(address);
    }
    for (const [address, primary] of primaries) {
      if (!this.#answered.has(address)) this.#answered.set(address, Number.NEGATIVE_INFINITY);
      primary.publish(channel, `${performance.now()} ${address}`).catch(() => undefined);
    }
    this.isAlive();
  }

  #hear(channel: string, text: string): void {
    if (channel !== PUSH_CHANNEL) {
      const [sentMs, address = ''] = text.split(' ');
      this.#answer(address, Number(sentMs));
      return;
    }
    const [node, kind, id = '', reason = ''] = text.split(' ');
    if (node === this.#node) return;
    if (kind === 'end') this.#listener.ended(id, reason);
    else if (kind === 'key') this.#listener.keyChanged(id);
    else if (kind === 'record') this.#listener.recordChanged(id);
    // Whatever a newer gateway may have to say of a family, asking again is right.
    else this.#listener.stale(id);
  }

  #answer(address: string, sentMs: number): void {
    if (!this.#answered.has(address)) return;
    this.#answered.set(address, sentMs);
    if (this.#wasAlive) return;
    const openSince = performance.now() - TRUST_MS;
    if (![...this.#answered.values()].every((each) => each >= openSince)) return;
    this.#wasAlive = true;
    this.#listener.resumed();
  }
}
