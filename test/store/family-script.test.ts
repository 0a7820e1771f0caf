/** The script, the embedded store and the pure transitions decide and remember the same, on random histories. */
import * as fc from '../support/property-based.ts';
import tap, { test } from 'tap';
import { familyTransitions, newFamily } from '../../gateway/session/rotate.ts';
import { openEmbeddedStore } from '../../gateway/store/embedded-store.ts';
import { RedisConnection } from '../../gateway/store/redis-connection.ts';
import { RedisStore } from '../../gateway/store/redis-store.ts';
import type { FamilyLimits, FamilyState, SessionStore } from '../../gateway/store/session-store.ts';
import { expand, histories, pick } from '../session/random-history.ts';
import type { Step } from '../session/random-history.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { startSingle } from '../support/redis-servers.ts';
import { LIFETIME_MS, LIMITS } from './contract-bench.ts';

/** Fixed, so that a run that fails can be repeated, and so that all outcomes are sure to be reached. */
const SEED = 20_261_124;
const HISTORIES = 1300;
/** Histories played side by side, so that round trips overlap. */
const LANES = 48;

const server = await startSingle();
const connection = new RedisConnection(server.place);
await connection.open();
tap.teardown(async () => {
  connection.close();
  await server.stop();
});

type Said = readonly [outcome: string | undefined, state: FamilyState | undefined];

/** One family after another in one pair of stores, with a clock of its own. */
class Lane {
  readonly clock = new ManualClock();
  readonly counts = new Map<string, number>();
  readonly #name: string;
  readonly #stores: readonly SessionStore[];
  #families = 0;

  constructor(name: string) {
    this.#name = name;
    this.#stores = [
      openEmbeddedStore(':memory:', familyTransitions, this.clock),
      new RedisStore(connection, this.clock),
    ];
  }

  async play(history: readonly Step[], crashGrace: boolean): Promise<void> {
    const limits = { ...LIMITS, crashGrace };
    let ids = ['id0'];
    let [family, state] = await this.#begin();
    for (const step of history.flatMap(expand)) {
      this.clock.advance(step.waitMs);
      const id = pick(ids, step.who);
      const child = `id${ids.length}`;
      const said = decide(step.kind, state, this.clock.now(), id, child, limits);
      const isOver = step.kind === 'end' && this.clock.now() >= state.endsMs;
      for (const store of this.#stores) {
        const answer = await ask(store, family, step.kind, id, child, limits);
        const [got, expected] = [JSON.stringify(answer), JSON.stringify(said)];
        // Dead and past its lifetime a family is as good as forgotten.
        if (got !== expected && !(isOver && answer[0] === undefined))
          throw new Error(`${step.kind} ${id} in ${store.constructor.name}: ${got} instead of ${expected}`);
      }
      const [outcome = '', next] = said;
      this.counts.set(outcome, (this.counts.get(outcome) ?? 0) + 1);
      if (outcome === 'set') ids.push(child);
      if (next?.status === 'active') {
        state = next;
        continue;
      }
      ids = ['id0'];
      [family, state] = await this.#begin();
    }
  }

  async #begin(): Promise<[string, FamilyState]> {
    const now = this.clock.now();
    const state = newFamily(now, 'id0', now + LIFETIME_MS);
    const id = `${this.#name}-${(this.#families += 1)}`;
    const rest = { person: undefined, createdMs: now, jar: undefined, jarVersion: 0 };
    for (const store of this.#stores)
      await store.create({ id, state, profile: Buffer.from('p'), ...rest }, 10);
    return [id, state];
  }
}

function decide(
  kind: Step['kind'],
  state: FamilyState,
  nowMs: number,
  id: string,
  child: string,
  limits: FamilyLimits,
): Said {
  if (kind === 'end') return ['dead', familyTransitions.end(state, 'revoked')];
  if (kind === 'issue') return familyTransitions.issue(state, nowMs, id, child, limits);
  return familyTransitions.use(state, nowMs, id, kind === 'passive', limits);
}

async function ask(
  store: SessionStore,
  family: string,
  kind: Step['kind'],
  id: string,
  child: string,
  limits: FamilyLimits,
): Promise<Said> {
  if (kind === 'issue') {
    const issued = await store.issue(family, id, child, limits);
    return [issued?.outcome, issued?.state];
  }
  if (kind === 'end') await store.end(family, 'revoked');
  const used = await store.use(family, id, kind === 'passive', limits);
  return [used?.outcome, used?.family.state];
}

void test('on 100,000 random operations script, embedded store and pure transitions agree', async (t) => {
  const samples = fc.sample(fc.tuple(histories, fc.boolean()), { numRuns: HISTORIES, seed: SEED });
  const lanes = Array.from({ length: LANES }, (_, index) => new Lane(`lane${index}`));
  await Promise.all(
    lanes.map(async (lane) => {
      for (let next = samples.pop(); next !== undefined; next = samples.pop()) await lane.play(...next);
    }),
  );
  const counts = new Map<string, number>();
  for (const lane of lanes) {
    for (const [outcome, count] of lane.counts) counts.set(outcome, (counts.get(outcome) ?? 0) + count);
  }
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  t.ok(total >= 100_000, `${total} operations`);
  const outcomes =
    'ok ok_due ok_confirm ok_sibling ok_inflight ok_regress reuse fork dead expired_idle expired_lifetime set no stubborn';
  for (const outcome of outcomes.split(' ')) {
    t.ok((counts.get(outcome) ?? 0) > 0, `${outcome}: ${counts.get(outcome) ?? 0} times`);
  }
});
