/** The routing decision against its rules, written plainly, for random accounts, regions, roles, lags and conditions. */
import { type Test, test } from 'tap';

import type { RegionCondition } from '../../gateway/upstream/region-condition.ts';
import {
  findLeadership,
  type NodeFacts,
  planRegion,
  type RegionPlan,
  type Situation,
} from '../../gateway/upstream/region-plan.ts';
import * as fc from '../support/property-based.ts';

interface Node extends NodeFacts {
  readonly name: string;
}

interface Case {
  readonly nodes: readonly Node[];
  readonly roles: Record<string, 'primary' | 'replica' | 'auto'>;
  readonly conditions: Record<string, RegionCondition>;
  readonly remembered: number;
  readonly failover: readonly string[];
  readonly readsNearest: boolean;
  readonly home: string;
}

const REGIONS = ['msk', 'spb', 'nsk'];
const MAX_LAG_MS = 5000;
const RUNS = 3000;

const statement = fc.record({
  role: fc.constantFrom('primary' as const, 'replica' as const),
  epoch: fc.constantFrom(undefined, 1, 2, 3),
  position: fc.constant(undefined),
  lagMs: fc.constantFrom(undefined, 0, MAX_LAG_MS, MAX_LAG_MS + 1),
});
const node = fc.record({
  region: fc.constantFrom(...REGIONS),
  checked: fc.boolean(),
  healthy: fc.boolean(),
  ejected: fc.boolean(),
  draining: fc.boolean(),
  statement: fc.option(statement, { nil: undefined, freq: 4 }),
  distanceMs: fc.constantFrom(0, 2, 40),
});
const perRegion = <T>(value: fc.Arbitrary<T>) => fc.record({ msk: value, spb: value, nsk: value });
const situations: fc.Arbitrary<Case> = fc.record({
  nodes: fc
    .array(node, { minLength: 1, maxLength: 6 })
    .map((nodes) => nodes.map((each, index) => ({ ...each, name: `node-${index}` }))),
  roles: perRegion(fc.constantFrom('auto' as const, 'auto' as const, 'primary' as const, 'replica' as const)),
  conditions: perRegion(fc.constantFrom('open', 'open', 'avoided', 'draining', 'sealed' as RegionCondition)),
  remembered: fc.constantFrom(-1, 2, 4),
  failover: fc.shuffledSubarray(REGIONS, { minLength: 1 }),
  readsNearest: fc.boolean(),
  home: fc.constantFrom(...REGIONS),
});

/** Epochs that nodes name are remembered at once, as the fleet does. */
function highestEpoch({ nodes, remembered }: Case): number {
  return Math.max(remembered, ...nodes.map((each) => each.statement?.epoch ?? -1));
}

function decide(given: Case): RegionPlan<Node> {
  const situation: Situation<Node> = {
    nodes: given.nodes,
    roleOf: (region) => given.roles[region] ?? 'auto',
    conditionOf: (region) => given.conditions[region] ?? 'open',
    highestEpoch: highestEpoch(given),
    failover: given.failover,
    readsNearest: given.readsNearest,
    maxLagMs: MAX_LAG_MS,
  };
  return planRegion(given.home, situation, findLeadership(situation));
}

/** Checks one rule in every situation. */
function always(t: Test, rule: (given: Case, plan: RegionPlan<Node>) => boolean): void {
  let withWriter = 0;
  fc.assert(
    fc.property(situations, (given) => {
      const plan = decide(given);
      if (plan.writes.length > 0) withWriter += 1;
      return rule(given, plan);
    }),
    { numRuns: RUNS },
  );
  t.ok(withWriter > RUNS / 20, `${withWriter} of ${RUNS} situations had somebody to write to`);
}

/** Nodes that say they are primary where the policy lets them. */
function claimants({ nodes, roles }: Case): readonly Node[] {
  return nodes.filter((each) => each.statement?.role === 'primary' && roles[each.region] !== 'replica');
}

void test('nobody unhealthy, unasked or in a sealed region answers anything', (t) => {
  always(t, (given, { reads, writes }) =>
    [...reads, ...writes].every(
      (each) => each.healthy && each.checked && given.conditions[each.region] !== 'sealed',
    ),
  );
  t.end();
});

void test('a node that calls itself replica, or is called so by the policy, takes no write', (t) => {
  always(t, (given, { writes }) =>
    writes.every((each) => each.statement?.role !== 'replica' && given.roles[each.region] !== 'replica'),
  );
  t.end();
});

void test('no write goes to a primary of an epoch below the highest ever seen', (t) => {
  always(t, (given, { writes }) =>
    writes.every(({ statement: says }) => says === undefined || (says.epoch ?? -1) === highestEpoch(given)),
  );
  t.end();
});

void test('two claims to the highest epoch, in sight or not, leave nobody to write to', (t) => {
  always(t, (given, { writes }) => {
    const top = highestEpoch(given);
    const claims = claimants(given).filter((each) => each.statement?.epoch === top && top >= 0);
    return claims.length < 2 || writes.length === 0;
  });
  t.end();
});

void test('with documents at most one node takes writes', (t) => {
  always(
    t,
    (_given, { writes }) => writes.every(({ statement: says }) => says === undefined) || writes.length === 1,
  );
  t.end();
});

void test('the one healthy claim to the highest epoch gets the writes of every account', (t) => {
  always(t, (given, { writes }) => {
    const top = highestEpoch(given);
    const claims = claimants(given).filter((each) => each.statement?.epoch === top && top >= 0);
    const [only] = claims;
    if (only === undefined || claims.length > 1 || !only.healthy || !only.checked) return true;
    return given.conditions[only.region] === 'sealed' || (writes.length === 1 && writes[0] === only);
  });
  t.end();
});

void test('a node that says nothing takes writes only by the policy’s word, or at home where nobody says anything', (t) => {
  always(t, (given, { writes }) =>
    writes.every((each) => {
      if (each.statement !== undefined || given.roles[each.region] === 'primary') return true;
      const isQuiet = given.nodes.every(({ statement: says }) => says === undefined);
      const isConfigured = given.nodes.some(({ region }) => given.roles[region] === 'primary');
      return isQuiet && !isConfigured && each.region === given.home;
    }),
  );
  t.end();
});

void test('a copy answers reads only when it says that it is fresh, of this epoch, or can say nothing', (t) => {
  always(t, (given, { reads, writes }) =>
    reads.every((each) => {
      if (writes.includes(each)) return true;
      const says = each.statement;
      if (says === undefined)
        return (
          given.roles[each.region] === 'replica' ||
          given.nodes.every((other) => other.statement === undefined)
        );
      const isOfNow = says.epoch === undefined || says.epoch === highestEpoch(given);
      return says.role === 'replica' || given.roles[each.region] === 'replica'
        ? isOfNow && says.lagMs !== undefined && says.lagMs <= MAX_LAG_MS
        : false;
    }),
  );
  t.end();
});

void test('who may take a write may answer a read, so a read finds somebody whenever a write does', (t) => {
  always(t, (_given, { reads, writes }) => writes.every((each) => reads.includes(each)));
  t.end();
});

void test('home comes first among equals, then the failover order; what drains or fails comes last', (t) => {
  const last = ({ conditions }: Case, each: Node): number => {
    if (each.ejected) return 3;
    if (each.draining || conditions[each.region] === 'draining') return 2;
    return conditions[each.region] === 'avoided' ? 1 : 0;
  };
  always(t, (given, { reads }) => {
    const order = [given.home, ...given.failover.filter((region) => region !== given.home)];
    const listed = reads.filter(({ region }) => order.includes(region));
    return listed.every((each, index) => {
      const next = listed[index + 1];
      if (next === undefined) return true;
      const [here, there] = [last(given, each), last(given, next)];
      if (here !== there) return here < there;
      if (given.readsNearest && each.distanceMs !== next.distanceMs) return each.distanceMs < next.distanceMs;
      return order.indexOf(each.region) <= order.indexOf(next.region);
    });
  });
  t.end();
});

void test('nobody is named twice, and nothing but the listed regions and the primary is used', (t) => {
  always(t, (given, { reads, writes }) => {
    const isListed = ({ region }: Node) => region === given.home || given.failover.includes(region);
    return (
      new Set(reads).size === reads.length &&
      new Set(writes).size === writes.length &&
      reads.every((each) => isListed(each) || writes.includes(each))
    );
  });
  t.end();
});
