import { Fleet, type FleetObserver } from './fleet.ts';
import type { HealthSettings } from './health-check.ts';
import type { NodeTls } from './node-tls.ts';
import type { RegionConditions } from './region-condition.ts';
import {
  effectiveRole,
  type EffectiveRole,
  findLeadership,
  type Leadership,
  planRegion,
  type RegionPlan,
  type Situation,
} from './region-plan.ts';
import { UpstreamNode } from './upstream-node.ts';

/** Which nodes there are and which accounts call them home. The policy's `regions` and `routing` fit. */
export interface UpstreamSettings {
  readonly regions: readonly {
    readonly id: string;
    readonly nodes: readonly string[];
    readonly role: 'primary' | 'replica' | 'auto';
    readonly health: HealthSettings;
    /** TLS to its nodes, beyond the ordinary. */
    readonly nodeTls?: NodeTls | undefined;
  }[];
  readonly routing: {
    readonly defaultRegion: string;
    readonly homeByAccount: ReadonlyMap<string, string>;
    readonly failover: readonly string[];
    readonly readsNearest: boolean;
    readonly maxLagMs: number;
  };
  readonly upstreamTimeoutMs: number;
}

/** What an operator sees of a node. */
export interface NodeView {
  readonly region: string;
  readonly url: string;
  readonly healthy: boolean;
  readonly role: EffectiveRole;
  readonly epoch: number | null;
  readonly position: string | null;
  readonly lag_ms: number | null;
  /** `ejected`, `draining`, `unchecked` or `in use`. */
  readonly state: string;
}

/** Beyond the lag that is allowed and the time in which its check is found late, how long a write may stay unseen. */
const SETTLE_MARGIN_MS = 5000;

/**
 * The CRM's nodes, and for every account the order in which its requests try them. What is decided is kept until
 * something about a node or region changes, so a request costs two look-ups. A reload builds a new map and keeps the
 * nodes that stay, with all that is known of them, and the fleet.
 */
export class UpstreamMap {
  readonly nodes: readonly UpstreamNode[];
  readonly fleet: Fleet;
  /** After so long a write is in every copy that may answer reads. */
  readonly settleMs: number;
  readonly #routing: UpstreamSettings['routing'];
  readonly #roles: ReadonlyMap<string, 'primary' | 'replica' | 'auto'>;
  readonly #conditions: Pick<RegionConditions, 'of'>;
  readonly #byHost: ReadonlyMap<string, UpstreamNode>;
  readonly #plans = new Map<string, RegionPlan<UpstreamNode>>();
  #leadership: Leadership<UpstreamNode> = { claims: [], isStated: false, isConfigured: false };
  #plannedVersion = 0;

  /** @param previous the map before a reload, or the observer of the first one. */
  constructor(
    settings: UpstreamSettings,
    conditions: Pick<RegionConditions, 'of'>,
    previous: UpstreamMap | FleetObserver,
  ) {
    const before = previous instanceof UpstreamMap ? previous : undefined;
    this.#routing = settings.routing;
    this.#conditions = conditions;
    this.fleet = previous instanceof UpstreamMap ? previous.fleet : new Fleet(previous);
    this.nodes = settings.regions.flatMap(({ id, nodes, nodeTls }) =>
      nodes.map((origin) => {
        const kept = before?.nodes.find((node) => node.origin === origin && node.region === id);
        const { upstreamTimeoutMs } = settings;
        kept?.connector.use(nodeTls);
        return kept ?? new UpstreamNode({ region: id, origin, upstreamTimeoutMs, tls: nodeTls });
      }),
    );
    this.#roles = new Map(settings.regions.map(({ id, role }) => [id, role]));
    this.#byHost = new Map(this.nodes.map((node) => [node.host, node]));
    this.settleMs =
      settings.routing.maxLagMs +
      Math.max(...settings.regions.map(({ health }) => detectionMs(health))) +
      SETTLE_MARGIN_MS;
  }

  /** Who answers for an account. The same object until something changes. */
  planFor(account: string): RegionPlan<UpstreamNode> {
    return this.planForHome(this.homeOf(account));
  }

  /** The home region of an account. */
  homeOf(account: string): string {
    return this.#routing.homeByAccount.get(account) ?? this.#routing.defaultRegion;
  }

  /** As {@link planFor}, for the accounts at home in a region. */
  planForHome(home: string): RegionPlan<UpstreamNode> {
    if (this.#plannedVersion !== this.fleet.version) this.refresh();
    const known = this.#plans.get(home);
    if (known !== undefined) return known;
    const plan = this.fleet.isSurveyed
      ? planRegion(home, this.#situation(), this.#leadership)
      : { reads: [], writes: [] };
    this.#plans.set(home, plan);
    return plan;
  }

  /** The node that answers under this `host:port`, if it is one of ours. */
  nodeAt(host: string): UpstreamNode | undefined {
    return this.#byHost.get(host);
  }

  /** What a node counts as, for the accounts at home in its own region. */
  roleOf(node: UpstreamNode): EffectiveRole {
    if (this.#plannedVersion !== this.fleet.version) this.refresh();
    return effectiveRole(node, node.region, this.#situation(), this.#leadership);
  }

  /** Whether some nodes hold copies of what others write, so that a read can be too early for one of them. */
  get hasCopies(): boolean {
    if (this.#plannedVersion !== this.fleet.version) this.refresh();
    return this.nodes.length > 1 && (this.#leadership.isStated || this.#leadership.isConfigured);
  }

  /** Whether two nodes call themselves primary in one epoch. */
  get isConflict(): boolean {
    if (this.#plannedVersion !== this.fleet.version) this.refresh();
    return this.fleet.isConflict;
  }

  /** Whether somebody's writes, or all that is left of the nodes, hang on this one. */
  isNeeded(node: UpstreamNode): boolean {
    const homes = new Set([this.#routing.defaultRegion, ...this.#routing.homeByAccount.values()]);
    return [...homes].some((home) => {
      const { reads, writes } = this.planForHome(home);
      return [reads, writes].some(
        (list) => list.includes(node) && list.every((each) => each === node || each.ejected),
      );
    });
  }

  /** What an operator sees of all nodes. */
  view(): NodeView[] {
    return this.nodes.map((node) => ({
      region: node.region,
      url: node.origin,
      healthy: node.healthy,
      role: this.roleOf(node),
      epoch: node.statement?.epoch ?? null,
      position: node.statement?.position?.text ?? null,
      lag_ms: node.statement?.lagMs ?? null,
      state: stateOf(node),
    }));
  }

  /** Decides anew after a change, and cuts requests off that wait for a primary that is none any more. */
  refresh(): void {
    this.#plannedVersion = this.fleet.version;
    this.#plans.clear();
    this.#leadership = findLeadership(this.#situation());
    const { claims } = this.#leadership;
    const isConflict = claims.length > 1;
    if (isConflict !== this.fleet.isConflict) {
      this.fleet.isConflict = isConflict;
      this.fleet.observer.conflicted(isConflict, claims);
    }
    for (const node of this.nodes) {
      if (node.waiting.size > 0 && node.statement?.role === 'primary' && node.epoch < this.fleet.highestEpoch)
        node.lose('fenced');
    }
  }

  /** Closes nodes that the next map no longer holds. */
  async closeExcept(next: UpstreamMap | undefined): Promise<void> {
    const gone = this.nodes.filter((node) => next === undefined || !next.nodes.includes(node));
    await Promise.allSettled(gone.map((node) => node.close()));
  }

  #situation(): Situation<UpstreamNode> {
    const { failover, readsNearest, maxLagMs } = this.#routing;
    return {
      nodes: this.nodes,
      roleOf: (region) => this.#roles.get(region) ?? 'auto',
      conditionOf: (region) => this.#conditions.of(region),
      highestEpoch: this.fleet.highestEpoch,
      failover,
      readsNearest,
      maxLagMs,
    };
  }
}

function detectionMs({ everyMs, timeoutMs, unhealthyAfter }: HealthSettings): number {
  return unhealthyAfter * (everyMs + timeoutMs);
}

function stateOf(node: UpstreamNode): string {
  if (!node.checked) return 'unchecked';
  if (node.draining) return 'draining';
  return node.ejected ? 'ejected' : 'in use';
}
