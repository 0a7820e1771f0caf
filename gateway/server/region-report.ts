import type { GatewayMetrics } from '../observability/gateway-metrics.ts';
import type { Logger } from '../observability/logger.ts';
import type { FleetObserver } from '../upstream/fleet.ts';
import type { UpstreamMap } from '../upstream/upstream-map.ts';
import type { UpstreamNode } from '../upstream/upstream-node.ts';

/** Turns what happens to nodes into metrics, and into lines where an operator must know. */
export function observeFleet(metrics: GatewayMetrics, logger: Logger): FleetObserver {
  return {
    turned: (node) => {
      const message = node.healthy ? 'a node is healthy again' : 'a node is unhealthy';
      logger.warn(message, name(node));
    },
    stated: (node) => {
      const { statement, draining } = node;
      const facts = { role: statement?.role ?? 'not said', epoch: statement?.epoch ?? 'not said', draining };
      logger.info('a node says what it is', { ...name(node), ...facts });
    },
    checkFailed: (node, kind) => metrics.healthChecksFailed.child({ ...name(node), kind }).inc(),
    requestFailed: (node, kind) => metrics.upstreamErrors.child({ ...name(node), kind }).inc(),
    ejected: (node, forMs) => {
      metrics.nodeEjections.child(name(node)).inc();
      logger.warn('requests keep failing at a node; it is left out for a while', {
        ...name(node),
        seconds: forMs / 1000,
      });
    },
    conflicted: (isConflict, nodes) => {
      metrics.primaryConflict.set(isConflict ? 1 : 0);
      if (!isConflict) logger.warn('no two nodes call themselves primary any more');
      else {
        logger.error(
          'two nodes call themselves primary in one epoch; changes are refused until that is over',
          {
            nodes: nodes.map(({ origin }) => origin).join(', '),
          },
        );
      }
    },
    retryRefused: () => metrics.retriesRefused.inc(),
    waited: (isServed) => metrics.primaryWaits.child({ result: isServed ? 'served' : 'gave_up' }).inc(),
  };
}

/** Sets the gauges of regions and nodes; called before each scrape. */
export function collectRegions(
  metrics: GatewayMetrics,
  regions: readonly { id: string }[],
  map: UpstreamMap,
): void {
  const { regionHealthy, nodeHealthy, nodeRole, replicationLag } = metrics;
  // Regions and nodes that a reload took away are not shown for ever as they were last seen.
  for (const gauge of [regionHealthy, nodeHealthy, nodeRole, replicationLag]) gauge.reset();
  for (const { id } of regions) {
    const nodes = map.nodes.filter(({ region }) => region === id);
    regionHealthy.child({ region: id }).set(nodes.some(({ healthy }) => healthy) ? 1 : 0);
    const lags = nodes.flatMap(({ healthy, statement }) =>
      healthy && statement?.lagMs !== undefined ? [statement.lagMs] : [],
    );
    if (lags.length > 0) replicationLag.child({ region: id }).set(Math.max(...lags) / 1000);
    for (const node of nodes) {
      nodeHealthy.child(name(node)).set(node.healthy ? 1 : 0);
      nodeRole.child({ ...name(node), role: map.roleOf(node) }).set(1);
    }
  }
  metrics.highestEpoch.set(Math.max(0, map.fleet.highestEpoch));
}

function name({ region, origin }: UpstreamNode): { region: string; node: string } {
  return { region, node: origin };
}
