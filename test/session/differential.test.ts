import * as fc from '../support/property-based.ts';
import { test } from 'tap';
import {
  MEMBER_LIMIT,
  UNADOPTED_LIMIT,
  familyTransitions,
  newFamily,
  reissueGapMs,
} from '../../gateway/session/rotate.ts';
import { openEmbeddedStore } from '../../gateway/store/embedded-store.ts';
import type { FamilyLimits, FamilyState, SessionStore } from '../../gateway/store/session-store.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { LIFETIME_MS, LIMITS } from './family-driver.ts';
import { expand, histories, pick } from './random-history.ts';
import type { Step } from './random-history.ts';
import * as reference from './reference-reducer.ts';
import type { ReferenceState } from './reference-reducer.ts';

/** Fixed, so that a run that fails can be repeated, and so that all outcomes are sure to be reached. */
const SEED = 20_260_211;
const PARAMS = {
  R: LIMITS.rotateEveryMs,
  G: LIMITS.graceMs,
  GRE: reissueGapMs(LIMITS),
  K: UNADOPTED_LIMIT,
  M: MEMBER_LIMIT,
  IDLE: LIMITS.idleMs,
};

/** The gateway's state in the words of the specification. */
function inReferenceWords(state: FamilyState): ReferenceState {
  const words: Record<string, string> = { lifetime: 'abs' };
  return {
    st: state.status,
    why: words[state.reason] ?? state.reason,
    gen: state.generation,
    tcur: state.confirmedMs,
    seen: state.seenMs,
    abs: state.endsMs,
    act: state.active,
    cand: state.candidates,
    prev: state.previous,
    stub: state.unadopted,
  };
}

const OUTCOME_WORDS: Record<string, string> = {
  expired_lifetime: 'EXPIRED_ABS',
  fork: 'REUSE',
};

function outcomeInReferenceWords(outcome: string, state: FamilyState): string {
  if (outcome === 'dead') return `DEAD:${inReferenceWords(state).why}`;
  return OUTCOME_WORDS[outcome] ?? outcome.toUpperCase();
}

/** What the pure transitions say to a step. */
function decide(
  kind: Step['kind'],
  state: FamilyState,
  nowMs: number,
  id: string,
  child: string,
  limits: FamilyLimits,
): [string, FamilyState] {
  if (kind === 'end') return ['dead', familyTransitions.end(state, 'revoked')];
  if (kind === 'issue') return familyTransitions.issue(state, nowMs, id, child, limits);
  return familyTransitions.use(state, nowMs, id, kind === 'passive', limits);
}

function countOf(counts: Map<string, number>): number {
  return [...counts.values()].reduce((sum, count) => sum + count, 0);
}

void test('48: the transitions decide as the specification does, on random histories', async (t) => {
  const counts = new Map<string, number>();
  const play = (history: Step[]): void => {
    let now = 1_000_000;
    let ids = ['id0'];
    let mine = newFamily(now, 'id0', now + LIFETIME_MS);
    let theirs = reference.create(now, 'id0', now + LIFETIME_MS);
    for (const { kind, who, waitMs } of history.flatMap(expand)) {
      now += waitMs;
      const id = pick(ids, who);
      let outcome: string;
      let expected: string;
      if (kind === 'issue') {
        const child = `id${ids.length}`;
        [outcome, mine] = familyTransitions.issue(mine, now, id, child, LIMITS);
        // The specification does not look at the limits here, because a use comes before; alone it must not differ.
        [expected, theirs] =
          mine.seenMs + LIMITS.idleMs <= now || now >= mine.endsMs
            ? ['NO', theirs]
            : reference.issue(theirs, now, id, child, PARAMS);
        if (outcome === 'set') ids.push(child);
      } else {
        [outcome, mine] = familyTransitions.use(mine, now, id, false, LIMITS);
        [expected, theirs] = reference.use(theirs, now, id, PARAMS);
      }
      counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
      const got = [outcomeInReferenceWords(outcome, mine), inReferenceWords(mine)];
      if (JSON.stringify(got) !== JSON.stringify([expected, theirs])) {
        throw new Error(
          `${kind} ${id}: ${JSON.stringify(got)} instead of ${JSON.stringify([expected, theirs])}`,
        );
      }
      if (outcome !== 'dead' && mine.status === 'active') continue;
      ids = ['id0'];
      mine = newFamily(now, 'id0', now + LIFETIME_MS);
      theirs = reference.create(now, 'id0', now + LIFETIME_MS);
    }
  };
  fc.assert(fc.property(histories, play), { numRuns: 1500, seed: SEED });
  t.ok(countOf(counts) >= 100_000, `${countOf(counts)} operations`);
  for (const outcome of [
    'ok',
    'ok_due',
    'ok_confirm',
    'ok_sibling',
    'ok_inflight',
    'reuse',
    'fork',
    'expired_idle',
    'expired_lifetime',
    'set',
    'no',
    'stubborn',
  ]) {
    t.ok((counts.get(outcome) ?? 0) > 0, `${outcome}: ${counts.get(outcome) ?? 0} times`);
  }
});

void test('48: the embedded store decides and remembers as the pure transitions do', async (t) => {
  const clock = new ManualClock();
  const store: SessionStore = openEmbeddedStore(':memory:', familyTransitions, clock);
  const counts = new Map<string, number>();
  let families = 0;
  const begin = async (): Promise<[string, FamilyState]> => {
    const now = clock.now();
    const state = newFamily(now, 'id0', now + LIFETIME_MS);
    const id = `family ${(families += 1)}`;
    const sealed = new Uint8Array([1]);
    await store.create(
      { id, state, person: undefined, createdMs: now, profile: sealed, jar: undefined, jarVersion: 0 },
      10,
    );
    return [id, state];
  };
  const ask = async (
    family: string,
    { kind }: Step,
    id: string,
    child: string,
    limits: FamilyLimits,
  ): Promise<[string | undefined, FamilyState | undefined]> => {
    if (kind === 'issue') {
      const issued = await store.issue(family, id, child, limits);
      return [issued?.outcome, issued?.state];
    }
    if (kind === 'end') await store.end(family, 'revoked');
    const used = await store.use(family, id, kind === 'passive', limits);
    return [used?.outcome, used?.family.state];
  };
  const play = async (history: Step[], crashGrace: boolean): Promise<void> => {
    const limits = { ...LIMITS, crashGrace };
    let ids = ['id0'];
    let [family, state] = await begin();
    for (const step of history.flatMap(expand)) {
      clock.advance(step.waitMs);
      const id = pick(ids, step.who);
      const child = `id${ids.length}`;
      const [outcome, next] = decide(step.kind, state, clock.now(), id, child, limits);
      const answer = await ask(family, step, id, child, limits);
      // Dead and past its lifetime a family is as good as forgotten.
      const isForgotten = step.kind === 'end' && clock.now() >= state.endsMs && answer[0] === undefined;
      const [got, expected] = [JSON.stringify(answer), JSON.stringify([outcome, next])];
      if (got !== expected && !isForgotten)
        throw new Error(`${step.kind} ${id}: ${got} instead of ${expected}`);
      counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
      if (outcome === 'set') ids.push(child);
      state = next;
      if (state.status === 'active') continue;
      ids = ['id0'];
      [family, state] = await begin();
    }
  };
  await fc.assert(fc.asyncProperty(histories, fc.boolean(), play), { numRuns: 1500, seed: SEED });
  await store.close();
  t.ok(countOf(counts) >= 100_000, `${countOf(counts)} operations`);
  for (const outcome of [
    'ok_confirm',
    'ok_sibling',
    'ok_inflight',
    'ok_regress',
    'reuse',
    'fork',
    'expired_idle',
    'expired_lifetime',
    'stubborn',
    'dead',
  ]) {
    t.ok((counts.get(outcome) ?? 0) > 0, `${outcome}: ${counts.get(outcome) ?? 0} times`);
  }
});
