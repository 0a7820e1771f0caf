import * as fc from '../support/property-based.ts';
import { LIFETIME_MS, LIMITS } from './family-driver.ts';

const { rotateEveryMs: R, graceMs: G, idleMs: IDLE } = LIMITS;

/** One step of a family's life. `who` counts back from the newest id. */
export interface Step {
  readonly kind: 'use' | 'passive' | 'issue' | 'both' | 'stall' | 'end';
  readonly who: number;
  readonly waitMs: number;
}

const WAITS = [0, 0, 1, 500, 4999, 5000, 5001, G / 2, G, G + 1, R - 1, R, R + G, 5 * R, IDLE - 1, IDLE];

const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.oneof(
    { weight: 50, arbitrary: fc.constant('use' as const) },
    { weight: 8, arbitrary: fc.constant('passive' as const) },
    { weight: 30, arbitrary: fc.constant('issue' as const) },
    { weight: 30, arbitrary: fc.constant('both' as const) },
    { weight: 1, arbitrary: fc.constant('stall' as const) },
    { weight: 1, arbitrary: fc.constant('end' as const) },
  ),
  who: fc.oneof(
    { weight: 10, arbitrary: fc.constant(0) },
    { weight: 8, arbitrary: fc.nat(2) },
    { weight: 1, arbitrary: fc.nat(12) },
  ),
  waitMs: fc.oneof(
    { weight: 400, arbitrary: fc.constantFrom(...WAITS.slice(0, -2)) },
    { weight: 8, arbitrary: fc.constantFrom(...WAITS.slice(-2)) },
    { weight: 1, arbitrary: fc.constant(LIFETIME_MS) },
  ),
});

/** Histories of one family after another: whoever plays one begins a new family when the last has ended. */
export const histories: fc.Arbitrary<Step[]> = fc.array(step, { minLength: 40, maxLength: 80 });

/** What has to be done for one step, in order; `stall` is a client that never adopts. */
export function expand({ kind, who, waitMs }: Step): Step[] {
  if (kind === 'both')
    return [
      { kind: 'use', who, waitMs },
      { kind: 'issue', who, waitMs: 0 },
    ];
  if (kind !== 'stall') return [{ kind, who, waitMs }];
  return Array.from({ length: 14 }, (_, index) => ({ kind: 'issue', who: who + index, waitMs: 5001 }));
}

/** The id that a step means: the newest of those handed out, or so many before it. */
export function pick(ids: readonly string[], who: number): string {
  return ids[Math.max(0, ids.length - 1 - who)] ?? '';
}
