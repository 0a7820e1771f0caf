import { RetryBudget } from './retry-budget.ts';
import type { UpstreamNode } from './upstream-node.ts';

/** What went wrong between gateway and node. `status`: it answered, and said that it is not well. */
export type TroubleKind = 'connection' | 'timeout' | 'protocol' | 'status' | 'busy';

/** Told of what happens to nodes; must not throw. */
export interface FleetObserver {
  /** A node turned healthy or unhealthy. */
  turned(node: UpstreamNode): void;
  /** What a node says of its role changed. */
  stated(node: UpstreamNode): void;
  /** A check failed. */
  checkFailed(node: UpstreamNode, kind: TroubleKind): void;
  /** A request failed at a node. */
  requestFailed(node: UpstreamNode, kind: TroubleKind): void;
  ejected(node: UpstreamNode, forMs: number): void;
  /** Two nodes call themselves primary in one epoch (`true`), or no longer do. */
  conflicted(isConflict: boolean, nodes: readonly UpstreamNode[]): void;
  /** A request was not tried again because too many are. */
  retryRefused(): void;
  /** A request that had to wait for a primary got one, or gave up. */
  waited(isServed: boolean): void;
}

/**
 * What is remembered of all nodes together, for as long as the process lives: policies come and go, an epoch that was
 * seen stays seen. One for each process; nodes report changes to it, and maps look at its version.
 */
export class Fleet {
  readonly observer: FleetObserver;
  readonly retries: RetryBudget;
  /** Goes up with every change that can change a decision. */
  version = 1;
  /** The highest epoch that any node ever named; -1 before. A primary of a lower one is fenced. */
  highestEpoch = -1;
  /** Whether every node of the first policies was asked once: before that nobody knows who is primary. */
  isSurveyed = false;
  /** Whether two nodes call themselves primary in one epoch. */
  isConflict = false;
  /** Requests that wait for a node which may answer them. */
  waiting = 0;
  readonly #listeners = new Set<() => void>();

  constructor(observer: FleetObserver) {
    this.observer = observer;
    this.retries = new RetryBudget(() => observer.retryRefused());
  }

  /** Something about a node or a region is different now. */
  changed(): void {
    this.version++;
    for (const listener of Array.from(this.#listeners)) listener();
  }

  /** A node named an epoch. */
  sawEpoch(epoch: number): void {
    if (epoch > this.highestEpoch) this.highestEpoch = epoch;
  }

  /** @returns a function that takes the listener off. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }
}
