import { GatewayError } from '../core/gateway-error.ts';
import type { UpstreamNode } from '../upstream/upstream-node.ts';
import type { RequestContext } from './request-context.ts';
import type { PipelineServices } from './services.ts';

/**
 * Chooses the nodes that a request may go to, best first: the account's home region, then the failover order,
 * healthy ones only.
 *
 * @throws GatewayError `upstream_unreachable` when no node is healthy: failing fast beats a queue.
 */
export function chooseNodes(context: RequestContext): readonly [UpstreamNode, ...UpstreamNode[]] {
  const nodes = context.snapshot.upstreams.nodesFor(context.account);
  const healthy = nodes.every(isHealthy) ? nodes : nodes.filter(isHealthy);
  if (!isFilled(healthy)) {
    throw new GatewayError('upstream_unreachable', 'no node of any region is healthy', {
      retryAfterSeconds: 2,
    });
  }
  return healthy;
}

/** A node refused a connection: it needs no second opinion, as long as somebody else can take over. */
export function nodeRefused(context: RequestContext, { report }: PipelineServices, node: UpstreamNode): void {
  if (context.snapshot.upstreams.nodes.some((each) => each !== node && each.healthy)) node.healthy = false;
  report.failover(node.region, node.origin);
}

function isHealthy(node: UpstreamNode): boolean {
  return node.healthy;
}

function isFilled(nodes: readonly UpstreamNode[]): nodes is readonly [UpstreamNode, ...UpstreamNode[]] {
  return nodes.length > 0;
}
