import type { AuditEvent } from '../core/audit-event.ts';
import type { Clock } from '../core/clock.ts';

interface Window {
  readonly startMs: number;
  times: number;
  last: AuditEvent;
}

const WINDOW_MS = 60_000;
/** Keys that are told apart; the others of an event share one. */
const KEYS_LIMIT = 1000;

/** Counts events that strangers can bring about at will, so that they fill neither the disk nor the trail. */
export class RepeatedEvents {
  readonly #clock: Clock;
  readonly #windows = new Map<string, Window>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether this event only counts; otherwise it is to be written, and begins the minute of its key. */
  isRepeated(event: AuditEvent): boolean {
    if (event.repeats === undefined) return false;
    const wanted = `${event.event}\n${event.repeats}`;
    const isCrowded = this.#windows.size >= KEYS_LIMIT && !this.#windows.has(wanted);
    const key = isCrowded ? `${event.event}\n*` : wanted;
    const known = this.#windows.get(key);
    if (known === undefined) {
      this.#windows.set(key, { startMs: this.#clock.now(), times: 0, last: event });
      return false;
    }
    known.times += 1;
    known.last = event;
    return true;
  }

  /** Events that stand for those that were counted; called about once a second. @param isLast minutes end now. */
  due(isLast: boolean): AuditEvent[] {
    const nowMs = this.#clock.now();
    const told: AuditEvent[] = [];
    for (const [key, { startMs, times, last }] of this.#windows) {
      if (!isLast && nowMs - startMs < WINDOW_MS) continue;
      this.#windows.delete(key);
      if (times > 0) told.push({ event: last.event, facts: { ...last.facts, times }, person: last.person });
    }
    return told;
  }
}
