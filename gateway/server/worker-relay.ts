import { NewsListeners, type EndRelay, type FamilyNews } from './end-relay.ts';
import type { ProcessLink } from './process-link.ts';
import type { SupervisorCalls, WorkerCalls } from './worker-calls.ts';
import type { Worker } from './worker-pool.ts';

/** How long one process waits for another to learn something, in milliseconds. */
const TELL_MS = 250;
/** A supervisor that was last heard longer ago than this may be hung, and news with it. */
const TRUST_MS = 1000;
/** How often the supervisor makes itself heard. */
export const BEAT_MS = 400;

/** A worker's end of the relay: everything goes through the supervisor. */
export class WorkerRelay implements EndRelay {
  readonly #link: Pick<ProcessLink<SupervisorCalls, WorkerCalls>, 'ask'>;
  readonly #listeners = new NewsListeners();
  readonly #now: () => number;
  #heardMs: number;

  /** @param now a clock in milliseconds that never jumps. */
  constructor(
    link: Pick<ProcessLink<SupervisorCalls, WorkerCalls>, 'ask'>,
    now = (): number => performance.now(),
  ) {
    this.#link = link;
    this.#now = now;
    this.#heardMs = now();
  }

  async publish(news: FamilyNews): Promise<void> {
    await this.#link.ask('news', news, 2 * TELL_MS).catch(() => undefined);
  }

  onNews(listener: (news: FamilyNews) => void): () => void {
    return this.#listeners.add(listener);
  }

  /** Messages of the supervisor come in order: once it is heard, all news before that has come too. */
  isAlive(): boolean {
    return this.#now() - this.#heardMs < TRUST_MS;
  }

  /** The supervisor was heard. */
  beat(): void {
    this.#heardMs = this.#now();
  }

  /** News came. */
  tell(news: FamilyNews): void {
    this.#listeners.tell(news);
  }
}

/** The supervisor's end: passes what one worker says on to all others, and takes part itself. */
export class RelayHub implements EndRelay {
  readonly #workers: () => readonly Worker[];
  readonly #listeners = new NewsListeners();

  constructor(workers: () => readonly Worker[]) {
    this.#workers = workers;
  }

  publish(news: FamilyNews): Promise<void> {
    return this.#send(news, undefined);
  }

  onNews(listener: (news: FamilyNews) => void): () => void {
    return this.#listeners.add(listener);
  }

  isAlive(): boolean {
    return true;
  }

  /** Passes news of one worker on. @returns resolves when the others have learnt it, or a moment is over. */
  async pass(news: FamilyNews, from: Worker | undefined): Promise<void> {
    this.#listeners.tell(news);
    await this.#send(news, from);
  }

  /** Also to workers that are only starting, which may hold families already; but those are not waited for. */
  async #send(news: FamilyNews, from: Worker | undefined): Promise<void> {
    const told = this.#workers().flatMap((worker) => {
      if (worker === from) return [];
      const answer = worker.link.ask('news', news, TELL_MS).catch(() => false);
      return worker.isReady ? [answer] : [];
    });
    await Promise.all(told);
  }
}
