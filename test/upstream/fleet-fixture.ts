import type { CheckResult } from '../../gateway/upstream/health-check.ts';
import { takeResult } from '../../gateway/upstream/health-check.ts';
import { readHealthDocument } from '../../gateway/upstream/health-document.ts';
import type { FleetObserver } from '../../gateway/upstream/fleet.ts';
import type { RegionCondition } from '../../gateway/upstream/region-condition.ts';
import { UpstreamMap, type UpstreamSettings } from '../../gateway/upstream/upstream-map.ts';
import type { UpstreamNode } from '../../gateway/upstream/upstream-node.ts';

/** Everything that happened, as words, in order. */
export type Happenings = string[];

type RoutingChange = Partial<UpstreamSettings['routing']>;
type Region = { id: string; ports: readonly number[]; role?: 'primary' | 'replica' | 'auto' };

const THRESHOLDS = { unhealthyAfter: 2, healthyAfter: 2 };

/** Settings of regions whose nodes are ports of loopback on which nobody is asked anything. */
function fleetSettings(regions: readonly Region[], routing: RoutingChange = {}): UpstreamSettings {
  return {
    regions: regions.map(({ id, ports, role = 'auto' }) => ({
      id,
      role,
      nodes: ports.map((port) => `http://127.0.0.1:${port}`),
      health: { path: '/', everyMs: 1000, timeoutMs: 500, ...THRESHOLDS },
    })),
    routing: {
      defaultRegion: regions[0]?.id ?? '',
      homeByAccount: new Map(),
      failover: regions.map(({ id }) => id),
      readsNearest: false,
      maxLagMs: 5000,
      ...routing,
    },
    upstreamTimeoutMs: 1000,
  };
}

/** An observer that writes everything down. */
function noteDown(happenings: Happenings): FleetObserver {
  const port = (node: UpstreamNode) => new URL(node.origin).port;
  return {
    turned: (node) => happenings.push(`${port(node)} ${node.healthy ? 'healthy' : 'unhealthy'}`),
    stated: (node) => happenings.push(`${port(node)} says ${node.statement?.role ?? 'nothing'}`),
    checkFailed: (node, kind) => happenings.push(`${port(node)} check ${kind}`),
    requestFailed: (node, kind) => happenings.push(`${port(node)} request ${kind}`),
    ejected: (node, forMs) => happenings.push(`${port(node)} ejected ${forMs}`),
    conflicted: (isConflict) => happenings.push(isConflict ? 'conflict' : 'no conflict'),
    retryRefused: () => happenings.push('retry refused'),
    waited: (isServed) => happenings.push(isServed ? 'served' : 'gave up'),
  };
}

/** A map with a hand on what its nodes say. */
export class FleetDriver {
  readonly happenings: Happenings = [];
  readonly conditions = new Map<string, RegionCondition>();
  map: UpstreamMap;

  constructor(regions: readonly Region[], routing: RoutingChange = {}) {
    this.map = new UpstreamMap(
      fleetSettings(regions, routing),
      { of: (region) => this.conditions.get(region) ?? 'open' },
      noteDown(this.happenings),
    );
    this.map.fleet.isSurveyed = true;
  }

  /** Puts another policy into force. */
  reload(regions: readonly Region[], routing: RoutingChange = {}): void {
    const of = (region: string) => this.conditions.get(region) ?? ('open' as const);
    this.map = new UpstreamMap(fleetSettings(regions, routing), { of }, this.map);
    this.map.fleet.changed();
  }

  node(port: number): UpstreamNode {
    const node = this.map.nodeAt(`127.0.0.1:${port}`);
    if (node === undefined) throw new Error(`no node at ${port}`);
    return node;
  }

  /** A node answers its check with this document; `undefined` is a plain 200. */
  says(port: number, document?: Record<string, unknown>): void {
    const report = readHealthDocument(document === undefined ? '' : JSON.stringify(document));
    this.#take(port, report ?? { trouble: 'status' });
  }

  /** A node answers its check as often as it takes to turn. */
  comesBack(port: number, document?: Record<string, unknown>): void {
    for (let i = 0; i < THRESHOLDS.healthyAfter; i++) this.says(port, document);
  }

  /** A node is silent as often as it takes to turn. */
  dies(port: number): void {
    for (let i = 0; i < THRESHOLDS.unhealthyAfter; i++) this.#take(port, { trouble: 'timeout' });
  }

  seal(region: string, condition: RegionCondition): void {
    this.conditions.set(region, condition);
    this.map.fleet.changed();
  }

  reads(account = 'any'): number[] {
    return this.map.planFor(account).reads.map(portOf);
  }

  writes(account = 'any'): number[] {
    return this.map.planFor(account).writes.map(portOf);
  }

  async close(): Promise<void> {
    await this.map.closeExcept(undefined);
  }

  #take(port: number, result: CheckResult): void {
    takeResult(this.node(port), result, THRESHOLDS, this.map.fleet);
  }
}

function portOf({ origin }: UpstreamNode): number {
  return Number(new URL(origin).port);
}
