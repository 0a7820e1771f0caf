import { test } from 'tap';

import type { RegionCondition } from '../../gateway/upstream/region-condition.ts';
import type { RegionCause, RegionRelief } from '../../gateway/upstream/region-state.ts';
import * as fc from '../support/property-based.ts';
import { type RegionNode, settle, twoNodes } from './region-nodes.ts';

type Happening = RegionCause | RegionRelief;

/**
 * The rules, as they would be told: what sealed stays until both administrators unseal; fire and failing power drain
 * until the all-clear or an operator; an operator's drain until an operator; a battery is avoided.
 */
function plainRules(history: readonly Happening[]): RegionCondition {
  const lastOf = (...kinds: Happening[]) => Math.max(-1, ...kinds.map((kind) => history.lastIndexOf(kind)));
  if (lastOf('intrusion', 'tamper', 'seal') > lastOf('unseal')) return 'sealed';
  if (lastOf('fire', 'power-failing') > lastOf('clear', 'open') || lastOf('drain') > lastOf('open'))
    return 'draining';
  return lastOf('on-battery') > lastOf('clear', 'open') ? 'avoided' : 'open';
}

type Step =
  | { readonly kind: 'tighten'; readonly node: 0 | 1; readonly cause: RegionCause }
  | { readonly kind: 'relieve'; readonly node: 0 | 1; readonly relief: RegionRelief }
  | { readonly kind: 'repeat'; readonly node: 0 | 1; readonly which: number }
  | { readonly kind: 'away' | 'back' | 'restart'; readonly node: 0 | 1 };

const node = fc.constantFrom<0 | 1>(0, 1);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('tighten' as const),
      node,
      cause: fc.constantFrom<RegionCause>(
        'intrusion',
        'tamper',
        'seal',
        'fire',
        'power-failing',
        'drain',
        'on-battery',
      ),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('relieve' as const),
      node,
      relief: fc.constantFrom<RegionRelief>('clear', 'open', 'unseal'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('repeat' as const), node, which: fc.nat(50) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constantFrom('away' as const, 'back' as const, 'restart' as const),
      node,
    }),
  },
);

/** What a history of steps must lead to, kept beside the nodes. */
class Expectation {
  /** What the store has, in its order. */
  readonly history: Happening[] = [];
  /** What each node has taken up while its store is away. */
  readonly held: [RegionCause[], RegionCause[]] = [[], []];
  readonly used: string[] = [];

  /** Whether a node still has something that the others have not heard. */
  get isHeld(): boolean {
    return this.held.some((each) => each.length > 0);
  }

  on(index: 0 | 1): RegionCondition {
    return plainRules([...this.history, ...this.held[index]]);
  }

  deliver(index: 0 | 1): void {
    this.history.push(...this.held[index].splice(0));
  }
}

const FROM_LOOSE = ['open', 'avoided', 'draining', 'sealed'];

function isLooser(condition: RegionCondition, than: RegionCondition): boolean {
  return FROM_LOOSE.indexOf(condition) < FROM_LOOSE.indexOf(than);
}

/** Takes one step on a node and in the expectation. @throws Error when something is not as it must be at once. */
async function take(target: RegionNode, expected: Expectation, each: Step): Promise<void> {
  switch (each.kind) {
    case 'tighten':
      await tighten(target, expected, each.node, each.cause);
      return;
    case 'relieve':
      await relieve(target, expected, each.relief);
      return;
    case 'repeat':
      repeat(target, expected, each.which);
      return;
    case 'restart':
      // A node that starts without its store lets nothing through until it hears it; here it hears it.
      target.records.isAway = false;
      await target.start();
      return;
    default:
      target.records.isAway = each.kind === 'away';
  }
}

async function tighten(
  { records, conditions }: RegionNode,
  expected: Expectation,
  index: 0 | 1,
  cause: RegionCause,
): Promise<void> {
  const id = `change-${expected.used.length}`;
  expected.used.push(id);
  const work = conditions.tighten('msk', cause, { id, untilMs: Number.MAX_SAFE_INTEGER });
  expected.held[index].push(cause);
  // Before anything was waited for.
  const inForce = conditions.of('msk');
  // A node that is cut off has not heard what the others have taken back, and holds on to it.
  if (records.isAway ? isLooser(inForce, plainRules([cause])) : inForce !== expected.on(index))
    throw new Error('it was not in force at once');
  const outcome = await work;
  if (outcome !== (records.isAway ? 'held' : 'recorded')) throw new Error(`unexpectedly ${outcome}`);
  if (!records.isAway) expected.deliver(index);
}

async function relieve(
  { records, conditions }: RegionNode,
  expected: Expectation,
  relief: RegionRelief,
): Promise<void> {
  const isDone = await conditions.relieve('msk', relief).then(
    () => true,
    () => false,
  );
  if (isDone === records.isAway) throw new Error(`relieved ${isDone} with the store away ${records.isAway}`);
  if (isDone) expected.history.push(relief);
}

/** A repetition is known on whatever node it comes. */
function repeat({ records, conditions }: RegionNode, expected: Expectation, which: number): void {
  const { used } = expected;
  const id = used[which % Math.max(1, used.length)];
  if (id === undefined || records.isAway || expected.isHeld || conditions.wasSeen('msk', id)) return;
  throw new Error('a repetition would have been taken');
}

await test('whatever comes in whatever order, every node holds what the plain rules say', async (t) => {
  let histories = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 25 }), async (steps) => {
      const { nodes, clock } = await twoNodes();
      const expected = new Expectation();
      try {
        for (const each of steps) {
          await take(nodes[each.node], expected, each);
          await settle(nodes, clock);
          for (const index of [0, 1] as const) {
            if (nodes[index].records.isAway) continue;
            expected.deliver(index);
          }
          await settle(nodes, clock);
          for (const index of [0, 1] as const) {
            if (nodes[index].records.isAway) continue;
            const found = nodes[index].conditions.of('msk');
            if (found !== expected.on(index))
              throw new Error(
                `node ${index}: ${found}, the rules say ${expected.on(index)} after ${expected.history.join()}`,
              );
          }
        }
        if (nodes.some(({ failures }) => failures.length > 0)) throw new Error(nodes[0].failures.join());
        histories += 1;
      } finally {
        for (const each of nodes) each.close();
      }
    }),
    { numRuns: 60 },
  );
  t.ok(histories >= 60, `${histories} histories`);
});
