import { DatabaseSync } from 'node:sqlite';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';

import { createMasterKey, parseKeyring } from '../../gateway/crypto/keyring.ts';
import type { RegionCondition } from '../../gateway/upstream/region-condition.ts';
import type { RegionCause, RegionRelief } from '../../gateway/upstream/region-state.ts';
import { ManualClock } from '../support/manual-clock.ts';
import * as fc from '../support/property-based.ts';
import { temporaryDirectory } from '../support/start-gateway.ts';
import { RegionNode } from './region-nodes.ts';

const keyring = parseKeyring(createMasterKey());

async function twoNodes(): Promise<{ nodes: [RegionNode, RegionNode]; clock: ManualClock; path: string }> {
  const clock = new ManualClock();
  const path = join(temporaryDirectory(), 'records.db');
  const node = async () => await new RegionNode(path, keyring, clock).start();
  return { nodes: [await node(), await node()], clock, path };
}

/** Lets every node do what it does in a few seconds. */
async function settle(nodes: readonly RegionNode[], clock: ManualClock): Promise<void> {
  for (let round = 0; round < 3; round += 1) {
    clock.advance(6000);
    for (const { conditions } of nodes) await conditions.tick();
  }
}

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

await test('a seal that came while the store was away outlives kill -9 and reaches the others', async (t) => {
  const { nodes, clock } = await twoNodes();
  const [one, other] = nodes;
  t.teardown(() => nodes.forEach((each) => each.close()));
  one.records.isAway = true;
  t.equal(await one.conditions.tighten('msk', 'intrusion'), 'held');
  t.equal(one.conditions.of('msk'), 'sealed');
  t.equal(other.conditions.of('msk'), 'open');
  await one.start();
  t.equal(one.conditions.of('msk'), 'sealed', 'and so is every other region, until the store is heard');
  t.equal(one.conditions.of('spb'), 'sealed');
  one.records.isAway = false;
  await settle(nodes, clock);
  t.equal(one.conditions.of('spb'), 'open');
  t.equal(one.conditions.of('msk'), 'sealed');
  t.equal(other.conditions.of('msk'), 'sealed');
});

await test('a record that somebody without the master key has changed counts as a seal', async (t) => {
  const { nodes, clock, path } = await twoNodes();
  const [one, other] = nodes;
  t.teardown(() => nodes.forEach((each) => each.close()));
  await one.conditions.tighten('msk', 'drain');
  await one.conditions.relieve('msk', 'open');
  await settle(nodes, clock);
  t.equal(other.conditions.of('msk'), 'open');
  const database = new DatabaseSync(path);
  const row = database.prepare("SELECT body FROM records WHERE kind = 'region' AND id = 'msk'").get();
  const body = row?.['body'] as Uint8Array;
  const changed = Buffer.from(body);
  changed[changed.length - 20] = (changed[changed.length - 20] ?? 0) ^ 1;
  const put = database.prepare("UPDATE records SET body = ? WHERE kind = 'region' AND id = 'msk'");
  put.run(changed);
  await settle(nodes, clock);
  t.equal(one.conditions.of('msk'), 'sealed');
  t.strictSame(other.conditions.causes('msk'), ['unreadable']);
  await t.rejects(one.conditions.relieve('msk', 'open'), { code: 'store_unavailable' });
  put.run(body);
  database.close();
  await settle(nodes, clock);
  t.equal(one.conditions.of('msk'), 'sealed', 'also when it is put back');
  await one.conditions.relieve('msk', 'unseal');
  await settle(nodes, clock);
  t.equal(one.conditions.of('msk'), 'open');
  t.equal(other.conditions.of('msk'), 'open');
});

await test('a store that is put back to an earlier state, or emptied, opens no seal', async (t) => {
  const { nodes, clock, path } = await twoNodes();
  const [one, other] = nodes;
  t.teardown(() => nodes.forEach((each) => each.close()));
  await one.conditions.tighten('msk', 'on-battery');
  const database = new DatabaseSync(path);
  t.teardown(() => database.close());
  const old = database.prepare("SELECT body FROM records WHERE kind = 'region'").get()?.[
    'body'
  ] as Uint8Array;
  await one.conditions.tighten('msk', 'tamper');
  await settle(nodes, clock);
  t.equal(other.conditions.of('msk'), 'sealed');
  database.prepare('UPDATE records SET body = ?').run(old);
  await one.start();
  await settle(nodes, clock);
  t.equal(one.conditions.of('msk'), 'sealed');
  database.exec('DELETE FROM records');
  await other.start();
  await settle(nodes, clock);
  t.equal(other.conditions.of('msk'), 'sealed');
  t.equal(database.prepare('SELECT count(*) AS n FROM records').get()?.['n'], 1, 'the store has it again');
});

await test('nothing on disk or in the store says which regions are closed and why', async (t) => {
  const { nodes, path } = await twoNodes();
  t.teardown(() => nodes.forEach((each) => each.close()));
  await nodes[0].conditions.tighten('msk', 'intrusion');
  const database = new DatabaseSync(path, { readOnly: true });
  const body = database.prepare('SELECT body FROM records').get()?.['body'] as Uint8Array;
  database.close();
  t.notMatch(Buffer.from(body).toString('latin1'), /intrusion|causes/);
  t.ok(readdirSync(join(path, '..')).length > 0);
});
