import type { RegionCondition, RegionConditions } from '../upstream/region-condition.ts';
import type { UpstreamMap } from '../upstream/upstream-map.ts';
import type { UpstreamNode } from '../upstream/upstream-node.ts';
import type { OpenStreams } from './open-streams.ts';

/** What is known of nodes and regions, whatever policies come and go. */
export interface NodesInForce {
  readonly upstreams: UpstreamMap;
}

/** Whether streams should leave a node: it is dead or going, or another one has taken its place. */
function isLeaving(node: UpstreamNode, map: UpstreamMap, condition: RegionCondition): boolean {
  return !node.healthy || node.draining || condition === 'draining' || map.roleOf(node) === 'fenced';
}

/**
 * Has streams leave nodes that should carry none, as soon as that is so: with a code, or a clean end, after which
 * clients connect again and come to another node. Streams to a sealed region end at once, and so does everything else
 * that is under way there. A stream that comes to a leaving node because there is no better one is left in peace.
 *
 * @param left told how many streams left a node.
 * @returns a function that stops it.
 */
export function leaveNodes(
  inForce: NodesInForce,
  conditions: RegionConditions,
  streams: OpenStreams,
  left: (node: UpstreamNode, ending: 'moving' | 'sealed', count: number) => void,
): () => void {
  /** Nodes whose streams were told to leave. */
  const told = new WeakSet<UpstreamNode>();
  const end = (node: UpstreamNode, ending: 'moving' | 'sealed') => {
    told.add(node);
    const count = streams.end(ending, (each) => each === node);
    if (count > 0) left(node, ending, count);
  };
  const look = () => {
    const map = inForce.upstreams;
    const leaving = map.nodes.filter((node) => isLeaving(node, map, conditions.of(node.region)));
    const isRefuge = (node: UpstreamNode) =>
      node.checked && !leaving.includes(node) && conditions.of(node.region) !== 'sealed';
    const hasRefuge = map.nodes.some(isRefuge);
    for (const node of map.nodes) {
      if (conditions.of(node.region) === 'sealed') continue;
      if (!leaving.includes(node)) told.delete(node);
      else if (hasRefuge && !told.has(node)) end(node, 'moving');
    }
  };
  const unlisten = [
    inForce.upstreams.fleet.onChange(look),
    conditions.onChange((region, condition) => {
      if (condition !== 'sealed') return;
      for (const node of inForce.upstreams.nodes) {
        if (node.region !== region) continue;
        end(node, 'sealed');
        // What may be sent again goes elsewhere before the connections break.
        node.lose('unhealthy');
        node.cut();
      }
    }),
  ];
  return () => {
    for (const stop of unlisten) stop();
  };
}
