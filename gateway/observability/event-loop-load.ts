/** How overloaded this process is: 0 not at all; from 1 on the cheapest requests go, then more of them. */
export type LoadLevel = 0 | 1 | 2 | 3;

/** How often the delay is measured, in milliseconds. */
const EVERY_MS = 50;
/** A level is reached when every delay of this time was longer than its threshold: one long pause is no overload. */
const WINDOW_MS = 500;
const SAMPLES = 3;
/** A level is left when every delay of this time was shorter than half of its threshold. */
const CALM_MS = 1000;
/** Delays in milliseconds from which on levels 1, 2 and 3 hold. */
const THRESHOLDS = [200, 500, 1000] as const;

/**
 * Measures how late the event loop is and says how much of the load should be turned away. What counts is the
 * shortest delay of a window, as in CoDel (RFC 8289): a queue that stands is an overload, one that comes and goes is
 * not. Nothing of this is paid for by a request, which reads one number.
 */
export class EventLoopLoad {
  #level: LoadLevel = 0;
  /** The window under way: its end, its shortest and longest delay, and how many there were. */
  #window = { beganMs: 0, leastMs: Infinity, mostMs: 0, samples: 0 };
  #calmSinceMs = 0;

  get level(): LoadLevel {
    return this.#level;
  }

  /** Takes one measured delay. @param nowMs a clock that never jumps. */
  sample(delayMs: number, nowMs: number): void {
    const window = this.#window;
    window.leastMs = Math.min(window.leastMs, delayMs);
    window.mostMs = Math.max(window.mostMs, delayMs);
    window.samples++;
    if (nowMs - window.beganMs < WINDOW_MS || window.samples < SAMPLES) return;
    this.#judge(window.leastMs, window.mostMs, nowMs);
    this.#window = { beganMs: nowMs, leastMs: Infinity, mostMs: 0, samples: 0 };
  }

  /** Measures from now on. @returns a function that stops it. */
  start(): () => void {
    let dueMs = performance.now() + EVERY_MS;
    this.#window.beganMs = performance.now();
    const timer = setInterval(() => {
      const nowMs = performance.now();
      this.sample(Math.max(0, nowMs - dueMs), nowMs);
      dueMs = nowMs + EVERY_MS;
    }, EVERY_MS).unref();
    return () => clearInterval(timer);
  }

  #judge(leastMs: number, mostMs: number, nowMs: number): void {
    const reached = THRESHOLDS.filter((threshold) => leastMs >= threshold).length as LoadLevel;
    const holdsOn = this.#level > 0 && mostMs >= (THRESHOLDS[this.#level - 1] ?? 0) / 2;
    if (reached > this.#level) this.#level = reached;
    if (reached >= this.#level || holdsOn) {
      this.#calmSinceMs = nowMs;
      return;
    }
    if (nowMs - this.#calmSinceMs < CALM_MS) return;
    this.#level = (this.#level - 1) as LoadLevel;
    this.#calmSinceMs = nowMs;
  }
}
