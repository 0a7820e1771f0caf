import type { Clock } from '../core/clock.ts';

/** Returns a function that gives the clock's time as RFC 3339 text; cheap, because most calls share their second. */
export function isoTime(clock: Clock): () => string {
  let second = Number.NaN;
  let prefix = '';
  return () => {
    const nowMs = clock.now();
    const current = Math.floor(nowMs / 1000);
    if (current !== second) {
      second = current;
      prefix = new Date(current * 1000).toISOString().slice(0, 20);
    }
    const milliseconds = Math.floor(nowMs - current * 1000);
    return `${prefix}${milliseconds < 100 ? '0' : ''}${milliseconds < 10 ? '0' : ''}${milliseconds}Z`;
  };
}
