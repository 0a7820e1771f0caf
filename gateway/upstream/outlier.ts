import type { TroubleKind } from './fleet.ts';
import { saysDraining } from './health-check.ts';
import type { UpstreamMap } from './upstream-map.ts';
import type { UpstreamNode } from './upstream-node.ts';

/** Failures in a row, with no answer in between, that take a node out although its checks pass. */
const ERRORS_IN_A_ROW = 5;
/** The first ejection, and the longest: each one doubles. A node that behaves for the longest time begins anew. */
const EJECTION_MS = 5000;
const LONGEST_EJECTION_MS = 300_000;

/**
 * A request failed at a node: it is checked at once, and left out for a while when requests keep failing there. Never
 * the last primary and never the last node that is left: their checks alone decide.
 */
export function noteFailure(map: UpstreamMap, node: UpstreamNode, kind: TroubleKind): void {
  const { fleet } = map;
  fleet.observer.requestFailed(node, kind);
  node.errors++;
  node.recheck?.();
  if (node.errors < ERRORS_IN_A_ROW || node.ejected || !node.healthy || map.isNeeded(node)) return;
  if (performance.now() - node.returnedMs > LONGEST_EJECTION_MS) node.ejections = 0;
  const forMs = Math.min(LONGEST_EJECTION_MS, EJECTION_MS * 2 ** node.ejections);
  node.ejections++;
  node.ejected = true;
  setTimeout(() => {
    node.ejected = false;
    node.errors = 0;
    node.returnedMs = performance.now();
    fleet.changed();
  }, forMs).unref();
  fleet.observer.ejected(node, forMs);
  fleet.changed();
}

/** A node answered a request: what failed before was no pattern, unless the answer itself is a failure to answer. */
export function noteAnswer(
  map: UpstreamMap,
  node: UpstreamNode,
  status: number,
  headers: Readonly<Record<string, string | string[] | undefined>>,
): void {
  // What a gateway or an overloaded server says; a 500 is a matter of one page.
  if (status === 502 || status === 503 || status === 504) noteFailure(map, node, 'status');
  else if (node.errors !== 0) node.errors = 0;
  if (headers['zasov-drain'] !== undefined && !node.draining && saysDraining(headers)) {
    // Until a check hears otherwise.
    node.draining = true;
    map.fleet.observer.stated(node);
    map.fleet.changed();
  }
}
