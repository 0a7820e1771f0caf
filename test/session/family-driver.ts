import { familyTransitions, newFamily } from '../../gateway/session/rotate.ts';
import type {
  FamilyLimits,
  FamilyState,
  IssueOutcome,
  UseOutcome,
} from '../../gateway/store/session-store.ts';

/** The defaults: R 60 s, G 20 s, GRE 5 s, idle 30 min. */
export const LIMITS: FamilyLimits = {
  rotateEveryMs: 60_000,
  graceMs: 20_000,
  idleMs: 1_800_000,
  crashGrace: false,
};
export const LIFETIME_MS = 12 * 3_600_000;

/** Outcomes that let a request through. */
export const ACCEPTED: ReadonlySet<string> = new Set([
  'ok',
  'ok_due',
  'ok_confirm',
  'ok_sibling',
  'ok_inflight',
  'ok_regress',
]);

/** One family driven by hand: a clock, a state, and ids that are named by counting. */
export class FamilyDriver {
  nowMs = 1_000_000;
  state: FamilyState = newFamily(this.nowMs, 'id0', this.nowMs + LIFETIME_MS);
  issued = 0;
  readonly limits: FamilyLimits;

  constructor(limits: FamilyLimits = LIMITS) {
    this.limits = limits;
  }

  wait(milliseconds: number): this {
    this.nowMs += milliseconds;
    return this;
  }

  use(hash: string, passive = false): UseOutcome {
    const [outcome, state] = familyTransitions.use(this.state, this.nowMs, hash, passive, this.limits);
    this.state = state;
    return outcome;
  }

  /** @returns the outcome, and the new id when one was issued. */
  issue(hash: string): [IssueOutcome, string] {
    const child = `id${this.issued + 1}`;
    const [outcome, state] = familyTransitions.issue(this.state, this.nowMs, hash, child, this.limits);
    this.state = state;
    if (outcome === 'set') this.issued += 1;
    return [outcome, child];
  }

  /** Waits until a rotation is due and issues a child of `hash`. */
  rotate(hash: string): string {
    this.wait(this.limits.rotateEveryMs);
    this.use(hash);
    const [outcome, child] = this.issue(hash);
    if (outcome !== 'set') throw new Error(`no child of ${hash}: ${outcome}`);
    return child;
  }

  end(): void {
    this.state = familyTransitions.end(this.state, 'revoked');
  }
}
