import { setTimeout as delay } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { unavailable } from './redis-connection.ts';
import type { RedisConnection } from './redis-connection.ts';
import type { RedisScript } from './redis-script.ts';
import { REPLAY_MS, ReplayLog } from './replay-log.ts';

/** How far the clocks of gateways may be apart, in ms. */
const CLOCK_SKEW_MS = 2000;
/** How long a request waits for a connection that is being made, in ms. */
const GATE_MS = 1000;
/** How long other nodes may take to notice a failover and to replay, in ms. */
const SETTLE_MS = 5000;
/** How often the servers are looked at, in ms. */
const INSPECT_MS = 2000;
/** How often, in ms, while they are away or not all there. */
const RETRY_MS = 200;
/** How long a gateway that starts waits for servers that are in the middle of a failover, in ms. */
const START_MS = 10_000;

/**
 * Sees a server go and another come. Until what this node did in the last seconds was done again there, nobody asks
 * the new one: it would take ids that it never heard of for stolen ones.
 */
export class RedisFailover {
  readonly log = new ReplayLog();
  readonly #connection: RedisConnection;
  readonly #scripts: readonly RedisScript[];
  #runIds = '';
  /** What the store says of the last restore into it. */
  #restored = '';
  #closed: { promise: Promise<void>; open: () => void } | undefined;
  /** How often a server went away; what was found out before the newest loss says nothing of the time after it. */
  #losses = 0;
  #isLooking = false;
  #lookedMs = Number.NEGATIVE_INFINITY;
  /** When the servers were last asked and were the same as before (machine clock, ms). */
  #soundMs = 0;
  /** When the last failover was noticed (monotonic ms). */
  #followedMs = Number.NEGATIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  #nextTurnMs = 0;
  #clockOffsetMs = 0;
  /** Ids issued in this time may be unknown to the server for no fault of their holder (machine clock, ms). */
  #lost = { fromMs: 0, toMs: -1, serverMs: 0 };

  constructor(connection: RedisConnection, scripts: readonly RedisScript[]) {
    this.#connection = connection;
    this.#scripts = scripts;
  }

  /** @throws GatewayError `store_unavailable` when the servers are not all there within ten seconds. */
  async start(): Promise<void> {
    await this.#followFirst(performance.now() + START_MS);
    const { client } = this.#connection;
    client.on('close', () => this.#shut());
    client.on('ready', () => void this.#reopen());
    client.on('+node', () => void this.#reopen());
    // A server of a Cluster went. Its replica may take its place at any moment and must not be asked before it was told.
    client.on('-node', (node: Redis) => {
      if (node.options.readOnly !== true) this.#shut();
      void this.#reopen();
    });
    this.#timer = setInterval(() => this.#look(), RETRY_MS).unref();
  }

  /** Whether the store may be asked now. */
  get isOpen(): boolean {
    return this.#closed === undefined;
  }

  /** Waits until the store may be asked. @throws GatewayError `store_unavailable` after a second. */
  async gate(): Promise<void> {
    if (this.#closed === undefined) return;
    let late: NodeJS.Timeout | undefined;
    const deadline = new Promise<never>((_, reject) => {
      late = setTimeout(() => reject(unavailable(new Error('not connected'))), GATE_MS);
    });
    try {
      await Promise.race([this.#closed.promise, deadline]);
    } finally {
      clearTimeout(late);
    }
  }

  /** The server's clock, from what was last heard of it, in ms. */
  serverNow(): number {
    return Math.round(Date.now() + this.#clockOffsetMs);
  }

  /**
   * Whether an id that the server does not know may be one that a failover lost: then the newest confirmation that
   * the family may have, in ms on the server's clock; 0 otherwise.
   */
  adoptBefore(issuedMs: number): number {
    const { fromMs, toMs, serverMs } = this.#lost;
    return issuedMs >= fromMs && issuedMs <= toMs ? serverMs : 0;
  }

  /**
   * Lets an id of an unknown family wait that a failover may have lost: the node that knows of it may not have
   * replayed yet, and "unknown" would sign its holder out.
   *
   * @throws GatewayError `store_unavailable` for the first seconds after a failover.
   */
  refuseIfLost(issuedMs: number): void {
    const isSettling = performance.now() - this.#followedMs < SETTLE_MS;
    if (isSettling && this.adoptBefore(issuedMs) > 0)
      throw unavailable(new Error('a session of the seconds that a failover lost is not back yet'));
  }

  /** Whether it is this node's turn to do what one node does every so often. */
  async takeTurn(key: string, everyMs: number): Promise<boolean> {
    if (performance.now() < this.#nextTurnMs) return false;
    this.#nextTurnMs = performance.now() + everyMs;
    try {
      return (await this.#connection.client.set(key, '1', 'PX', everyMs, 'NX')) === 'OK';
    } catch (error) {
      throw unavailable(error);
    }
  }

  close(): void {
    clearInterval(this.#timer);
    for (const event of ['+node', '-node']) this.#connection.client.removeAllListeners(event);
    this.#closed?.open();
    this.#closed = undefined;
  }

  #look(): void {
    if (this.#closed === undefined && performance.now() - this.#lookedMs < INSPECT_MS) return;
    if (this.#closed === undefined || this.#connection.client.status === 'ready') void this.#reopen();
  }

  #shut(): void {
    this.#losses += 1;
    if (this.#closed !== undefined) return;
    let open = (): void => undefined;
    const promise = new Promise<void>((resolve) => {
      open = resolve;
    });
    this.#closed = { promise, open };
  }

  async #reopen(): Promise<void> {
    // Whoever comes while somebody looks is answered by the next look, a moment later.
    if (this.#isLooking) return;
    this.#isLooking = true;
    this.#lookedMs = performance.now();
    const losses = this.#losses;
    try {
      await this.#follow();
      if (losses !== this.#losses) return;
      this.#closed?.open();
      this.#closed = undefined;
    } catch {
      // The connection broke again, or the servers are not all there yet: the timer tries again.
      this.#shut();
    } finally {
      this.#isLooking = false;
    }
  }

  async #followFirst(deadlineMs: number): Promise<void> {
    for (;;) {
      try {
        return await this.#follow();
      } catch (error) {
        if (performance.now() > deadlineMs) throw unavailable(error);
      }
      await delay(RETRY_MS);
    }
  }

  /**
   * Looks whether the servers are still the same, and does again what others than these may lack. Nothing is done again
   * on top of a restore: whoever began before it knows nothing that counts any more.
   */
  async #follow(): Promise<void> {
    const sentMs = Date.now();
    const sent = performance.now();
    const { runIds, nowMs } = await this.#connection.inspect();
    const heardMs = Date.now();
    this.#clockOffsetMs = nowMs - (sentMs + heardMs) / 2;
    if (runIds !== this.#runIds) {
      const primaries = [...this.#connection.primaries().values()];
      await Promise.all(
        primaries.flatMap((node) => this.#scripts.map(({ text }) => node.script('LOAD', text))),
      );
      const restored = await this.#connection.restoreMark();
      if (this.#runIds === '' || restored !== this.#restored) this.log.clear();
      else await this.#replay(heardMs, nowMs);
      this.#runIds = runIds;
      this.#restored = restored;
    }
    this.#soundMs = sentMs;
    this.log.forgetBefore(sent);
  }

  async #replay(heardMs: number, serverMs: number): Promise<void> {
    // Not wider than what can have been lost: an older id that comes back is theft as ever.
    const fromMs = this.#soundMs - REPLAY_MS - CLOCK_SKEW_MS;
    this.#lost = { fromMs, toMs: heardMs + CLOCK_SKEW_MS, serverMs };
    this.#followedMs = performance.now();
    await this.log.run();
  }
}
