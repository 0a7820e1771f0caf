import { isOperation, type Operation } from './crm-record.ts';
import type { Replica } from './replica.ts';

/** The header that guards `/replication/*` between the CRM's own nodes. */
export const REPLICATION_HEADER = 'x-crm-replication';

const PUSH_TIMEOUT_MS = 1000;
const PULL_TIMEOUT_MS = 3000;
const PULL_EVERY_MS = 1000;
const BATCH = 500;
/** A peer that is away catches up by reading our feed, so nothing queues for it without end. */
const QUEUE_LIMIT = 5000;

/**
 * Keeps this node in step with one peer: writes are pushed at once, and the peer's feed is read every second, which
 * is how a node that was away or missed a push catches up.
 */
export class PeerLink {
  readonly url: string;
  readonly #replica: Replica;
  readonly #secret: string;
  readonly #stop = new AbortController();
  #queue: Operation[] = [];
  #sending: Promise<void> | undefined;
  #pulling: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isUp = false;
  #boot = '';
  #position = 0;

  constructor(url: string, replica: Replica, secret: string) {
    this.url = url;
    this.#replica = replica;
    this.#secret = secret;
  }

  /** Whether the last exchange with the peer went well. */
  get isUp(): boolean {
    return this.#isUp;
  }

  /** Begins to read the peer's feed. Resolves after the first reading, successful or not. */
  async start(): Promise<void> {
    await this.pull();
    this.#schedule();
  }

  /** Stops everything under way. */
  close(): void {
    this.#stop.abort();
    clearTimeout(this.#timer);
  }

  /** Queues an operation of this node; it leaves with the next batch. */
  push(operation: Operation): void {
    if (!this.#isUp || this.#stop.signal.aborted) return;
    if (this.#queue.length >= QUEUE_LIMIT) this.#queue.shift();
    this.#queue.push(operation);
    this.#sending ??= this.#send();
  }

  /** Resolves when everything queued is with the peer, or the peer turned out to be away. Never rejects. */
  async settled(): Promise<void> {
    await this.#sending;
  }

  /** Reads the peer's feed to its end. Never rejects; parallel calls share one reading. */
  async pull(): Promise<void> {
    this.#pulling ??= this.#readFeed()
      .catch(() => {
        this.#isUp = false;
      })
      .finally(() => (this.#pulling = undefined));
    await this.#pulling;
  }

  #schedule(): void {
    if (this.#stop.signal.aborted) return;
    this.#timer = setTimeout(() => {
      void this.pull().then(() => this.#schedule());
    }, PULL_EVERY_MS).unref();
  }

  async #send(): Promise<void> {
    // One turn of the loop lets the writes of one request travel together.
    await Promise.resolve();
    while (this.#queue.length > 0) {
      const batch = this.#queue.splice(0, BATCH);
      try {
        await this.#call('/replication/operations', PUSH_TIMEOUT_MS, JSON.stringify(batch));
      } catch {
        this.#isUp = false;
        this.#queue = [];
      }
    }
    this.#sending = undefined;
  }

  async #readFeed(): Promise<void> {
    let hasMore = true;
    while (hasMore) {
      const query = `boot=${encodeURIComponent(this.#boot)}&after=${this.#position}`;
      const page = await this.#call(`/replication/changes?${query}`, PULL_TIMEOUT_MS);
      const { boot, position, operations } = page;
      if (typeof boot !== 'string' || typeof position !== 'number' || !Array.isArray(operations))
        throw new Error('the peer sent something that is no feed');
      for (const operation of operations) if (isOperation(operation)) this.#replica.apply(operation);
      this.#boot = boot;
      this.#position = position;
      hasMore = page.hasMore === true;
    }
    this.#isUp = true;
  }

  async #call(path: string, timeoutMs: number, body?: string): Promise<Record<string, unknown>> {
    const answer = await fetch(new URL(path, this.url), {
      method: body === undefined ? 'GET' : 'POST',
      headers: { [REPLICATION_HEADER]: this.#secret, 'content-type': 'application/json' },
      body: body ?? null,
      redirect: 'error',
      signal: AbortSignal.any([this.#stop.signal, AbortSignal.timeout(timeoutMs)]),
    });
    const document: unknown = await answer.json();
    if (!answer.ok || typeof document !== 'object' || document === null)
      throw new Error(`the peer answered ${answer.status}`);
    return document as Record<string, unknown>;
  }
}
