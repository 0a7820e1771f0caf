import type { LimitedBy } from '../policy/policy.ts';
import type { ParallelLimit } from '../rate-limit/parallel-limit.ts';
import type { FailuresBy, SignInLimit } from '../rate-limit/sign-in-limit.ts';
import type { LimitSlot, WindowLimit } from '../rate-limit/window-limit.ts';
import type { WindowRate } from '../rate-limit/window-rate.ts';

/** One budget of answer bytes that a request draws on. */
export interface Budget {
  /** The policy's name of the limit. */
  readonly of: string;
  readonly rate: WindowRate;
  readonly by: LimitedBy;
  readonly limit: WindowLimit;
  readonly name: string;
  readonly slot: LimitSlot;
  /** When it was looked at, in ms. */
  readonly atMs: number;
}

/** A place among the requests at once of one holder. */
export interface Turn {
  readonly places: ParallelLimit;
  readonly name: string;
}

/** The place that an attempt to sign in took under one limit. */
export interface Attempt {
  /** The policy's name of the limit. */
  readonly of: string;
  readonly by: FailuresBy;
  readonly limit: SignInLimit;
  readonly name: string;
}

/** An attempt to sign in under way. */
export interface SignIn {
  readonly attempts: readonly Attempt[];
  isSettled: boolean;
}
