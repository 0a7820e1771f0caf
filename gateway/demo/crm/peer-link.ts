import { isOperation, type Operation } from './crm-record.ts';
import type { Leadership, PeerStanding } from './leadership.ts';
import type { Replica } from './replica.ts';

/** The header that guards `/replication/*` between the CRM's own nodes. */
export const REPLICATION_HEADER = 'x-crm-replication';

const PUSH_TIMEOUT_MS = 1000;
const PULL_TIMEOUT_MS = 1500;
const PULL_EVERY_MS = 500;
const BATCH = 500;
/** A peer that is away catches up by reading our feed, so nothing queues for it without end. */
const QUEUE_LIMIT = 5000;

/**
 * Keeps this node in step with one peer: writes are pushed at once, and the peer's feed is read twice a second, which
 * is how a node that was away or missed a push catches up, and how it hears who leads.
 */
export class PeerLink {
  readonly url: string;
  readonly #replica: Replica;
  readonly #secret: string;
  readonly #leadership: Leadership;
  readonly #stop = new AbortController();
  #queue: { operation: Operation; before: number }[] = [];
  #standing: PeerStanding | undefined;
  #sending: Promise<void> | undefined;
  #pulling: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isUp = false;
  #boot = '';
  #position = 0;

  constructor(url: string, replica: Replica, leadership: Leadership, secret: string) {
    this.url = url;
    this.#replica = replica;
    this.#leadership = leadership;
    this.#secret = secret;
  }

  /** Whether the last exchange with the peer went well. */
  get isUp(): boolean {
    return this.#isUp;
  }

  /** What the peer last said of itself. */
  get standing(): PeerStanding | undefined {
    return this.#standing;
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

  /** Queues an operation of this node; it leaves with the next batch. @param before the number of the one before it. */
  push(operation: Operation, before: number): void {
    if (!this.#isUp || this.#stop.signal.aborted) return;
    if (this.#queue.length >= QUEUE_LIMIT) this.#queue.shift();
    this.#queue.push({ operation, before });
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
        const { region, epoch } = this.#leadership.standing;
        const after = batch[0]?.before ?? 0;
        const through = batch.at(-1)?.operation.lamport ?? 0;
        const query = `region=${encodeURIComponent(region)}&epoch=${epoch}&after=${after}&through=${through}`;
        const operations = JSON.stringify(batch.map(({ operation }) => operation));
        await this.#call(`/replication/operations?${query}`, PUSH_TIMEOUT_MS, operations);
      } catch {
        this.#isUp = false;
        this.#queue = [];
      }
    }
    this.#sending = undefined;
  }

  async #readFeed(): Promise<void> {
    const startedMs = this.#leadership.now();
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
      if (!hasMore && isStanding(page.standing)) {
        this.#standing = page.standing;
        this.#leadership.peerRead(page.standing, startedMs);
      }
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

function isStanding(value: unknown): value is PeerStanding {
  if (typeof value !== 'object' || value === null) return false;
  const { region, epoch, leads, through } = value as Record<string, unknown>;
  return (
    typeof region === 'string' &&
    typeof epoch === 'number' &&
    typeof leads === 'boolean' &&
    typeof through === 'number'
  );
}
