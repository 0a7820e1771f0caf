import { test } from 'tap';
import type { Test } from 'tap';
import { newFamily } from '../../gateway/session/rotate.ts';
import type {
  EndReason,
  FamilyLimits,
  SessionStore,
  StoredFamily,
} from '../../gateway/store/session-store.ts';
import { ManualClock } from '../support/manual-clock.ts';

/** Limits small enough to reckon with in one's head: R 60 s, G 20 s, idle 30 min. */
export const LIMITS: FamilyLimits = {
  rotateEveryMs: 60_000,
  graceMs: 20_000,
  idleMs: 1_800_000,
  crashGrace: false,
};
/** Life of the families that {@link family} makes. */
export const LIFETIME_MS = 12 * 3_600_000;

/** A family whose only live id has the hash `first`. */
export function family(id: string, nowMs: number, extra: Partial<StoredFamily> = {}): StoredFamily {
  return {
    id,
    state: newFamily(nowMs, 'first', nowMs + LIFETIME_MS),
    person: undefined,
    createdMs: nowMs,
    profile: Buffer.from(`profile of ${id}`),
    jar: undefined,
    jarVersion: 0,
    ...extra,
  };
}

/** For `toSorted`. */
export const byText = (one: string, other: string): number => one.localeCompare(other);

/** What one check of the contract works with. */
export interface Bench {
  readonly store: SessionStore;
  readonly clock: ManualClock;
  readonly ends: [string, EndReason][];
}

/** Makes an empty store on a clock; `folder` is empty, and gone after the check. */
export type OpenStore = (clock: ManualClock, folder: string) => Promise<SessionStore>;

/** Runs one check of the contract on a store of its own. */
export type Check = (title: string, body: (t: Test, bench: Bench) => Promise<void>) => void;

/** Makes the checks of a kind of store. */
export function checksOn(open: OpenStore): Check {
  return (title, body) => {
    void test(title, async (t) => {
      const clock = new ManualClock();
      const store = await open(clock, t.testdir({}));
      const ends: [string, EndReason][] = [];
      store.onEnd((id, reason) => ends.push([id, reason]));
      await body(t, { store, clock, ends });
      await store.close();
    });
  };
}
