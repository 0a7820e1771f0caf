import { UpstreamNode } from './upstream-node.ts';

/** Which nodes there are and which accounts call them home. The policy's `regions` and `routing` fit. */
export interface UpstreamSettings {
  readonly regions: readonly { readonly id: string; readonly nodes: readonly string[] }[];
  readonly routing: {
    readonly defaultRegion: string;
    readonly homeByAccount: ReadonlyMap<string, string>;
    readonly failover: readonly string[];
  };
  readonly upstreamTimeoutMs: number;
}

/** Accounts come from the host name, so a stranger can make them up: remember only so many. */
const REMEMBERED_ACCOUNTS = 10_000;

/**
 * The CRM's nodes in the order in which an account's requests try them: the home region first, then the failover
 * order. Immutable but for the nodes' health; a reload builds a new map and keeps the nodes that stay.
 */
export class UpstreamMap {
  readonly nodes: readonly UpstreamNode[];
  readonly #settings: UpstreamSettings;
  readonly #byAccount = new Map<string, readonly UpstreamNode[]>();
  readonly #byHost: ReadonlyMap<string, UpstreamNode>;

  constructor(settings: UpstreamSettings, previous?: UpstreamMap) {
    this.#settings = settings;
    this.nodes = settings.regions.flatMap((region) =>
      region.nodes.map((origin) => {
        const kept = previous?.nodes.find((node) => node.origin === origin && node.region === region.id);
        return (
          kept ??
          new UpstreamNode({ region: region.id, origin, upstreamTimeoutMs: settings.upstreamTimeoutMs })
        );
      }),
    );
    this.#byHost = new Map(this.nodes.map((node) => [node.host, node]));
  }

  /** The nodes for an account, best first, whether they are healthy or not. */
  nodesFor(account: string): readonly UpstreamNode[] {
    const found = this.#byAccount.get(account);
    if (found !== undefined) return found;
    const { defaultRegion, homeByAccount, failover } = this.#settings.routing;
    const home = homeByAccount.get(account) ?? defaultRegion;
    const order = [home, ...failover.filter((region) => region !== home)];
    const nodes = order.flatMap((region) => this.nodes.filter((node) => node.region === region));
    if (this.#byAccount.size >= REMEMBERED_ACCOUNTS) this.#byAccount.clear();
    this.#byAccount.set(account, nodes);
    return nodes;
  }

  /** How many accounts' orders are remembered. */
  get rememberedAccounts(): number {
    return this.#byAccount.size;
  }

  /** The node that answers under this `host:port`, if it is one of ours. */
  nodeAt(host: string): UpstreamNode | undefined {
    return this.#byHost.get(host);
  }

  /** Closes nodes that the next map no longer holds. */
  async closeExcept(next: UpstreamMap | undefined): Promise<void> {
    const gone = this.nodes.filter((node) => next === undefined || !next.nodes.includes(node));
    await Promise.allSettled(gone.map((node) => node.close()));
  }
}
