import type { UpstreamNode } from './upstream-node.ts';

/** Weight of a new measurement, and what a change must be worth before requests move for it. */
const WEIGHT = 0.2;
const LEAST_CHANGE_MS = 1;
const LEAST_SHARE = 0.25;

const measured = new WeakMap<UpstreamNode, number>();

/**
 * Takes the time of one health check into a node's distance. The distance moves in steps, so that two regions that are
 * about equally far do not take turns.
 *
 * @returns whether it moved.
 */
export function measureDistance(node: UpstreamNode, roundTripMs: number): boolean {
  const before = measured.get(node);
  const now = before === undefined ? roundTripMs : before + WEIGHT * (roundTripMs - before);
  measured.set(node, now);
  const change = Math.abs(now - node.distanceMs);
  if (change < LEAST_CHANGE_MS || change < LEAST_SHARE * node.distanceMs) return false;
  node.distanceMs = Math.round(now);
  return true;
}
