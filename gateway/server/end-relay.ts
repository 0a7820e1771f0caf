import type { EndReason } from '../store/session-store.ts';

/** What one process tells the others of a session family. */
export interface FamilyNews {
  /** Hash of the family id. */
  readonly id: string;
  /** Why the family is over; absent when it lives and its ids or its jar changed. */
  readonly ended?: EndReason;
}

/**
 * Carries news of session families between the processes that share one store: the push side of a store that has
 * none of its own. The store decides; news only says that somebody's memory of it is old.
 *
 * A message that is lost may delay what a process learns, until its memory of the family runs out (the local term of
 * the session service), and must never do more than that.
 */
export interface EndRelay {
  /**
   * Tells every other process.
   *
   * @returns resolves when all have learnt it, or after a moment without the ones that say nothing. Never rejects.
   */
  publish(news: FamilyNews): Promise<void>;
  /** Registers the one who learns what others published. @returns a function that takes it off. */
  onNews(listener: (news: FamilyNews) => void): () => void;
  /** Whether news is sure to arrive within a second. */
  isAlive(): boolean;
}

/** The receiving half of a relay, for the ends of it that are told by a call. */
export class NewsListeners {
  readonly #listeners = new Set<(news: FamilyNews) => void>();

  add(listener: (news: FamilyNews) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  tell(news: FamilyNews): void {
    for (const listener of this.#listeners) listener(news);
  }
}
