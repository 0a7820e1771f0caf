import type { Leadership } from './leadership.ts';
import { PeerLink } from './peer-link.ts';
import type { Replica } from './replica.ts';

const LOOK_EVERY_MS = 250;

/** All peers of one node. */
export class PeerGroup {
  readonly #replica: Replica;
  readonly #secret: string;
  readonly #leadership: Leadership;
  #timer: NodeJS.Timeout;
  #links: PeerLink[] = [];

  constructor(replica: Replica, leadership: Leadership, secret: string) {
    this.#replica = replica;
    this.#secret = secret;
    this.#leadership = leadership;
    replica.on('written', (operation, before) => {
      for (const link of this.#links) link.push(operation, before);
    });
    this.#timer = setInterval(() => leadership.look(this.#links), LOOK_EVERY_MS).unref();
  }

  /** Origins of the peers that answered last time. */
  get reachable(): string[] {
    return this.#links.filter((link) => link.isUp).map((link) => link.url);
  }

  /** Replaces the list of peers; known ones keep their position. Resolves when new ones were read once. */
  async set(urls: readonly string[]): Promise<void> {
    const wanted = new Set(urls.map((url) => new URL(url).origin));
    for (const link of this.#links) if (!wanted.has(link.url)) link.close();
    const kept = this.#links.filter((link) => wanted.delete(link.url));
    const added = [...wanted].map((url) => new PeerLink(url, this.#replica, this.#leadership, this.#secret));
    this.#links = [...kept, ...added];
    await Promise.all(added.map((link) => link.start()));
    if (this.#links.length > 0) this.#leadership.look(this.#links);
  }

  /**
   * Resolves when every write so far is with every peer that can be reached. Answers to writes wait for it, so that
   * a node killed right after an answer takes nothing acknowledged with it.
   */
  async settled(): Promise<void> {
    await Promise.all(this.#links.map((link) => link.settled()));
  }

  /** Stops all links. */
  close(): void {
    clearInterval(this.#timer);
    for (const link of this.#links) link.close();
  }
}
