/** How long before its loss a server may have taken something that its successor never heard of, in ms. */
export const REPLAY_MS = 10_000;
/** Most changes that are remembered; a node that makes more in ten seconds replays the newest. */
const CHANGE_LIMIT = 20_000;

/** Does one change again; must be harmless when it is there already. */
export type Replay = () => Promise<unknown>;

/**
 * The last changes that this node made, so that it can make them again where a failover lost them. Redis replicates
 * behind its answers, so a replica that becomes the primary may lack the newest ones.
 */
export class ReplayLog {
  readonly #changes = new Map<number, { readonly atMs: number; readonly replay: Replay }>();
  #next = 0;

  /** Remembers a change that was made just now. */
  add(replay: Replay): void {
    const atMs = performance.now();
    this.#changes.set(this.#next, { atMs, replay });
    this.#next += 1;
    for (const [key, change] of this.#changes) {
      if (this.#changes.size <= CHANGE_LIMIT && atMs - change.atMs <= REPLAY_MS) break;
      this.#changes.delete(key);
    }
  }

  /** Makes all changes again, in order, that were made since a time (`performance.now()`). */
  async run(sinceMs: number): Promise<void> {
    const wanted = [...this.#changes.values()].filter(({ atMs }) => atMs >= sinceMs);
    await Promise.all(wanted.map(({ replay }) => replay()));
  }
}
