import { PeerLink } from './peer-link.ts';
import type { Replica } from './replica.ts';

/** All peers of one node. */
export class PeerGroup {
  readonly #replica: Replica;
  readonly #secret: string;
  #links: PeerLink[] = [];

  constructor(replica: Replica, secret: string) {
    this.#replica = replica;
    this.#secret = secret;
    replica.on('written', (operation) => {
      for (const link of this.#links) link.push(operation);
    });
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
    const added = [...wanted].map((url) => new PeerLink(url, this.#replica, this.#secret));
    this.#links = [...kept, ...added];
    await Promise.all(added.map((link) => link.start()));
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
    for (const link of this.#links) link.close();
  }
}
