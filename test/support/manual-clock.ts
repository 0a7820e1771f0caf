import type { Clock } from '../../gateway/core/clock.ts';

/** A clock that stands still until a test moves it. */
export class ManualClock implements Clock {
  #nowMs: number;

  constructor(startMs = 1_800_000_000_000) {
    this.#nowMs = startMs;
  }

  now(): number {
    return this.#nowMs;
  }

  /** Moves the clock by so many milliseconds; negative steps are the jumps back that a bad NTP makes. */
  advance(milliseconds: number): void {
    this.#nowMs += milliseconds;
  }
}
