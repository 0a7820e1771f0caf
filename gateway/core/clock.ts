/**
 * Where the time comes from. Passed in everywhere, so that tests move it by hand and never sleep.
 */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
}

/** The machine's clock. */
export const systemClock: Clock = { now: () => Date.now() };
