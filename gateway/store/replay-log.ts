/** How long before its loss a server may have taken something that its successor never heard of, in ms. */
export const REPLAY_MS = 10_000;
/** Most changes that are remembered; a node that makes more before it finds its server in order replays the newest. */
const CHANGE_LIMIT = 20_000;
/** A replica that fell behind for so long may still be made primary, so an end is done again for as long, in ms. */
const LASTING_MS = 600_000;
const LASTING_LIMIT = 50_000;
/** How many changes are made again side by side; more would wait longer in the server's queue than a command may. */
const WIDTH = 500;

/** Does one change again; must be harmless when it is there already, or something newer is. */
export type Replay = () => Promise<unknown>;

interface Change {
  readonly atMs: number;
  readonly replay: Replay;
}

/**
 * The last changes that this node made, so that it can make them again where a failover lost them. Redis replicates
 * behind its answers, so a replica that becomes the primary may lack the newest ones.
 *
 * What costs its owner a wait when it is lost (a confirmation) is kept for as long as the server that took it may be
 * gone. What would give a thief something back (an end, a key, an approval) is kept for much longer, and no traffic
 * pushes it out.
 */
export class ReplayLog {
  readonly #changes: Shelf;
  readonly #lasting: Shelf;

  /**
   * @param now a clock that only goes forward, in ms.
   * @param limits most entries of either kind. Both are for tests.
   */
  constructor(now = () => performance.now(), limits = { changes: CHANGE_LIMIT, lasting: LASTING_LIMIT }) {
    this.#changes = new Shelf(limits.changes, now);
    this.#lasting = new Shelf(limits.lasting, now);
  }

  /** Remembers a change that was made just now, until {@link forgetBefore}. */
  add(replay: Replay): void {
    this.#changes.add(replay);
  }

  /** Remembers for ten minutes what nobody may undo. */
  addLasting(replay: Replay): void {
    this.#lasting.add(replay);
  }

  /**
   * Forgets what the servers are sure to have. Called when they were found to be the same as before, and by nothing
   * else: while a server is away, time passes and what it took must stay here.
   *
   * @param atMs when they were asked (`performance.now()`).
   */
  forgetBefore(atMs: number): void {
    this.#changes.forgetBefore(atMs - REPLAY_MS);
    this.#lasting.forgetBefore(atMs - LASTING_MS);
  }

  /** Forgets everything. */
  clear(): void {
    this.#changes.forgetBefore(Number.POSITIVE_INFINITY);
    this.#lasting.forgetBefore(Number.POSITIVE_INFINITY);
  }

  /** Makes everything that is remembered again, ends first. @throws what the first failure of a change throws. */
  async run(): Promise<void> {
    await this.#lasting.run();
    await this.#changes.run();
  }
}

/** Changes in the order in which they were made; the oldest give way. */
class Shelf {
  readonly #limit: number;
  readonly #now: () => number;
  #changes: (Change | undefined)[] = [];
  /** Where the oldest is; before it is nothing. */
  #first = 0;

  constructor(limit: number, now: () => number) {
    this.#limit = limit;
    this.#now = now;
  }

  add(replay: Replay): void {
    this.#changes.push({ atMs: this.#now(), replay });
    if (this.#changes.length - this.#first > this.#limit) this.#drop();
  }

  forgetBefore(sinceMs: number): void {
    while ((this.#changes[this.#first]?.atMs ?? sinceMs) < sinceMs) this.#drop();
  }

  async run(): Promise<void> {
    const wanted = this.#changes.slice(this.#first);
    for (let from = 0; from < wanted.length; from += WIDTH)
      await Promise.all(wanted.slice(from, from + WIDTH).map(async (change) => change?.replay()));
  }

  #drop(): void {
    this.#changes[this.#first] = undefined;
    this.#first += 1;
    if (this.#first < this.#limit) return;
    this.#changes = this.#changes.slice(this.#first);
    this.#first = 0;
  }
}
