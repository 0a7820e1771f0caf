import type { NodeStatement } from './health-document.ts';
import type { RegionCondition } from './region-condition.ts';

/** What the decision looks at in a node. */
export interface NodeFacts {
  readonly region: string;
  readonly checked: boolean;
  readonly healthy: boolean;
  readonly ejected: boolean;
  readonly draining: boolean;
  readonly statement: NodeStatement | undefined;
  readonly distanceMs: number;
}

/** What the decision looks at beside the nodes. */
export interface Situation<N extends NodeFacts> {
  readonly nodes: readonly N[];
  /** The policy's word on a region's nodes. */
  roleOf(region: string): 'primary' | 'replica' | 'auto';
  conditionOf(region: string): RegionCondition;
  /** The highest epoch ever seen, or -1. */
  readonly highestEpoch: number;
  readonly failover: readonly string[];
  readonly readsNearest: boolean;
  readonly maxLagMs: number;
}

/** What a node counts as. `fenced`: it calls itself primary and is not the one that may be. */
export type EffectiveRole = 'primary' | 'replica' | 'fenced';

/** Who answers for the accounts of one home region. */
export interface RegionPlan<N> {
  /** Who may answer a read, best first. */
  readonly reads: readonly N[];
  /** Who may take a write, best first. More than one only where all of them are equal. */
  readonly writes: readonly N[];
}

/** Why nobody, or who, is primary: the part of the decision that is the same for all accounts. */
export interface Leadership<N> {
  /** Nodes that call themselves primary in the highest epoch; more than one is a conflict. */
  readonly claims: readonly N[];
  /** Whether any node says what it is. */
  readonly isStated: boolean;
  /** Whether the policy calls a region primary. */
  readonly isConfigured: boolean;
}

/**
 * Finds out who leads. A claim stands until its node says otherwise or is no longer in the policy: a primary that is
 * out of sight may still take writes from others. Claims without an epoch cannot be fenced and stand only while their
 * nodes are healthy.
 */
export function findLeadership<N extends NodeFacts>(situation: Situation<N>): Leadership<N> {
  const { nodes, highestEpoch } = situation;
  const claims = nodes.filter(({ region, healthy, statement }) => {
    if (statement?.role !== 'primary' || situation.roleOf(region) === 'replica') return false;
    return statement.epoch === undefined ? highestEpoch < 0 && healthy : statement.epoch === highestEpoch;
  });
  return {
    claims,
    isStated: nodes.some(({ statement }) => statement !== undefined),
    isConfigured: nodes.some(({ region }) => situation.roleOf(region) === 'primary'),
  };
}

/** What a node counts as, for the accounts at home in a region. */
export function effectiveRole<N extends NodeFacts>(
  node: N,
  home: string,
  situation: Situation<N>,
  { claims, isStated, isConfigured }: Leadership<N>,
): EffectiveRole {
  const { region, statement } = node;
  const configured = situation.roleOf(region);
  if (statement?.role === 'replica' || configured === 'replica') return 'replica';
  if (statement?.role === 'primary') return claims.length === 1 && claims[0] === node ? 'primary' : 'fenced';
  // It says nothing. Whoever claims to be primary goes before the policy's word, and that before the account's home.
  const mayLead =
    configured === 'primary' ? claims.length === 0 : !isStated && !isConfigured && region === home;
  return mayLead ? 'primary' : 'replica';
}

/**
 * Decides who answers for the accounts of one home region. No node that fails its checks, that nobody has asked yet or
 * that stands in a sealed region is ever in a plan; with nobody left a list is empty, and the request fails fast.
 */
export function planRegion<N extends NodeFacts>(
  home: string,
  situation: Situation<N>,
  leadership: Leadership<N>,
): RegionPlan<N> {
  const { nodes, failover, readsNearest } = situation;
  const order = [home, ...failover.filter((region) => region !== home)];
  const rank = (region: string) => (order.includes(region) ? order.indexOf(region) : order.length);
  const role = (node: N) => effectiveRole(node, home, situation, leadership);
  const usable = nodes.filter(
    (node) => node.checked && node.healthy && situation.conditionOf(node.region) !== 'sealed',
  );
  const inOrder = (one: N, other: N) =>
    reluctance(one, situation) - reluctance(other, situation) ||
    (readsNearest ? one.distanceMs - other.distanceMs : 0) ||
    rank(one.region) - rank(other.region);
  const writes = usable
    .filter((node) => role(node) === 'primary')
    // Distance is no reason to write elsewhere than at home.
    .toSorted(
      (one, other) =>
        reluctance(one, situation) - reluctance(other, situation) || rank(one.region) - rank(other.region),
    );
  const copies = usable.filter(
    (node) => order.includes(node.region) && isFresh(node, role(node), situation, leadership),
  );
  const reads = copies.toSorted(inOrder);
  return { reads: [...reads, ...writes.filter((node) => !reads.includes(node))], writes };
}

/** What is used last: 0 gladly, then a region to be spared, what drains, what fails though its checks pass. */
function reluctance<N extends NodeFacts>(node: N, situation: Situation<N>): number {
  if (node.ejected) return 3;
  const condition = situation.conditionOf(node.region);
  if (node.draining || condition === 'draining') return 2;
  return condition === 'avoided' ? 1 : 0;
}

function isFresh<N extends NodeFacts>(
  { region, statement }: N,
  role: EffectiveRole,
  situation: Situation<N>,
  { isStated }: Leadership<N>,
): boolean {
  if (role === 'primary') return true;
  if (role === 'fenced') return false;
  // A plain 200 is all that its operator lets it say; among nodes that say more it says too little.
  if (statement === undefined) return !isStated || situation.roleOf(region) === 'replica';
  // A copy of an earlier primary measures its lag behind that one.
  if (statement.epoch !== undefined && statement.epoch < situation.highestEpoch) return false;
  return statement.lagMs !== undefined && statement.lagMs <= situation.maxLagMs;
}
