import type { AuditEvent, AuditFacts, AuditSink } from '../core/audit-event.ts';
import type { Clock } from '../core/clock.ts';
import { GatewayError } from '../core/gateway-error.ts';
import { RepeatedEvents } from './repeated-events.ts';

/** One event on its way into the trail. */
export interface AuditEntry {
  readonly atMs: number;
  readonly event: string;
  readonly facts: AuditFacts;
  readonly person: AuditEvent['person'];
}

/** Where entries become durable. */
export interface EntryWriter {
  /**
   * Writes entries in their order. Called once at a time.
   *
   * @returns the sequence number of the first. @throws when they are not durable; then none of them is on record.
   */
  append(entries: readonly AuditEntry[]): Promise<number>;
  /** Whether it has something to write of its own: then it is called, with no entries if need be. */
  readonly isDue: boolean;
  /** Writes its end. Called once, last. */
  finish(): Promise<void>;
}

/** Called by the queue for metrics and logs; must not throw. */
interface AuditObserver {
  written(count: number): void;
  /** Events that will never be on record. */
  lost(count: number): void;
  failed(error: unknown): void;
  recovered(): void;
}

/** What a queue is made of. */
export interface AuditQueueOptions {
  readonly writer: EntryWriter;
  readonly clock: Clock;
  readonly observer: AuditObserver;
  /** Most events that wait; more are lost. Default 10,000. */
  readonly waitingLimit?: number;
  /** How long an operation waits for its record, in ms. Default 3000. */
  readonly commitMs?: number;
}

interface Waiting extends AuditEntry {
  /** Set for what somebody waits for. */
  readonly settle: ((error: GatewayError | undefined) => void) | undefined;
  isWriting: boolean;
  isWithdrawn: boolean;
}

const WAITING_LIMIT = 10_000;
const COMMIT_MS = 3000;
/** Events of so many milliseconds share one write and one flush of the disk. */
const GATHER_MS = 20;
const BATCH_LIMIT = 500;
const RETRY_MS = 1000;
const TICK_MS = 1000;

/**
 * Takes events in and has them written in batches, one after the other. Nobody on a request's path ever waits for it:
 * a disk that is full or hangs makes the queue grow up to its bound, and then events are lost and counted. Once
 * records can be written again the trail says itself how many are missing (`trail.gap`).
 */
export class AuditQueue implements AuditSink {
  readonly #options: AuditQueueOptions;
  readonly #repeated: RepeatedEvents;
  readonly #ticker: NodeJS.Timeout;
  #waiting: Waiting[] = [];
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #isFailing = false;
  #isClosed = false;
  /** Lost since the trail last said so. */
  #lost = 0;

  constructor(options: AuditQueueOptions) {
    this.#options = options;
    this.#repeated = new RepeatedEvents(options.clock);
    this.#ticker = setInterval(() => this.#tick(), TICK_MS).unref();
  }

  note(event: AuditEvent): void {
    if (this.#repeated.isRepeated(event)) return;
    this.#take(event, undefined);
    this.#schedule(this.#isFailing ? RETRY_MS : GATHER_MS);
  }

  commit(event: AuditEvent): Promise<void> {
    return new Promise((resolve, reject) => {
      const deadline = setTimeout(() => this.#withdraw(entry), this.#options.commitMs ?? COMMIT_MS);
      const entry = this.#take(event, (error) => {
        clearTimeout(deadline);
        if (error === undefined) resolve();
        else reject(error);
      });
      // Also while the disk fails: the try itself says whether it still does.
      this.#schedule(0);
    });
  }

  /** Writes what waits, for so long at most; what comes later is lost. */
  async close(withinMs: number): Promise<void> {
    clearInterval(this.#ticker);
    this.#tellRepeated(true);
    const late = new Promise<void>((resolve) => setTimeout(resolve, withinMs).unref());
    await Promise.race([this.#drain().catch((error: unknown) => this.#options.observer.failed(error)), late]);
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#lose(this.#waiting.length);
    this.#waiting = [];
  }

  async #drain(): Promise<void> {
    await this.#running;
    this.#running = this.#run();
    await this.#running;
    await this.#options.writer.finish();
  }

  #tick(): void {
    this.#tellRepeated(false);
    if (!this.#isFailing && this.#options.writer.isDue) this.#schedule(0);
  }

  #take({ event, facts = {}, person }: AuditEvent, settle: Waiting['settle']): Waiting {
    const atMs = this.#options.clock.now();
    const entry: Waiting = { atMs, event, facts, person, settle, isWriting: false, isWithdrawn: false };
    const isFull = this.#waiting.length >= (this.#options.waitingLimit ?? WAITING_LIMIT);
    if (!this.#isClosed && (settle !== undefined || !isFull)) this.#waiting.push(entry);
    else if (settle === undefined) this.#lose(1);
    else settle(unavailable('the trail is closed'));
    return entry;
  }

  /** Nobody waits for this record any more: its operation is not done. */
  #withdraw(entry: Waiting): void {
    if (entry.isWriting) entry.isWithdrawn = true;
    else this.#waiting = this.#waiting.filter((each) => each !== entry);
    entry.settle?.(unavailable('the record was not durable in time'));
  }

  #schedule(delayMs: number): void {
    if (this.#running !== undefined) return;
    if (this.#timer !== undefined && delayMs > 0) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#running ??= this.#run().finally(() => {
        this.#running = undefined;
        if (this.#waiting.length > 0) this.#schedule(this.#isFailing ? RETRY_MS : GATHER_MS);
      });
    }, delayMs);
    // A process that ends waits for what it closes, not for this timer.
    this.#timer.unref();
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0 || (!this.#isFailing && this.#options.writer.isDue)) {
      const batch = this.#waiting.splice(0, BATCH_LIMIT);
      if (!(await this.#write(batch))) return;
    }
  }

  async #write(batch: readonly Waiting[]): Promise<boolean> {
    for (const entry of batch) entry.isWriting = true;
    try {
      const first = await this.#options.writer.append(batch);
      this.#written(batch, first);
      return true;
    } catch (error) {
      this.#failed(batch, error);
      return false;
    }
  }

  #written(batch: readonly Waiting[], first: number): void {
    const { observer } = this.#options;
    if (this.#isFailing) observer.recovered();
    this.#isFailing = false;
    if (batch.length > 0) observer.written(batch.length);
    for (const [index, entry] of batch.entries()) {
      if (entry.isWithdrawn) this.#tell('trail.withdrawn', { record: first + index });
      else entry.settle?.(undefined);
    }
    if (this.#lost > 0) {
      this.#tell('trail.gap', { lost: this.#lost });
      this.#lost = 0;
    }
  }

  /** What was only noted is tried again; an operation is refused at once. */
  #failed(batch: readonly Waiting[], error: unknown): void {
    this.#options.observer.failed(error);
    this.#isFailing = true;
    const all = [...batch, ...this.#waiting];
    this.#waiting = all.filter(({ settle }) => settle === undefined);
    for (const entry of this.#waiting) entry.isWriting = false;
    for (const { settle } of all) settle?.(unavailable('a record cannot be written', error));
  }

  #tell(event: string, facts: AuditFacts): void {
    this.#take({ event, facts }, undefined);
  }

  #tellRepeated(isLast: boolean): void {
    for (const event of this.#repeated.due(isLast)) {
      this.#take(event, undefined);
      this.#schedule(this.#isFailing ? RETRY_MS : GATHER_MS);
    }
  }

  #lose(count: number): void {
    if (count === 0) return;
    this.#lost += count;
    this.#options.observer.lost(count);
  }
}

function unavailable(message: string, cause?: unknown): GatewayError {
  return new GatewayError('audit_unavailable', message, { cause, retryAfterSeconds: 5 });
}
