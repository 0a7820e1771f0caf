import type { PageLanguage } from './account-words.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** Times in words: the server does not know the reader's time zone, but "5 minutes ago" is true in all of them. */
export interface Moments {
  /** `5 minutes ago`. */
  ago(atMs: number): string;
  /** `24 November 2026, 10:31 UTC`. */
  full(atMs: number): string;
  /** `24 November 2026`, by UTC. */
  day(atMs: number): string;
  /** `61 days`, `5 hours`; never below zero. */
  span(milliseconds: number): string;
}

/** Makes the words of one language at one moment. */
export function createMoments(language: PageLanguage, nowMs: number): Moments {
  const locale = language === 'ru' ? 'ru-RU' : 'en-GB';
  const relative = new Intl.RelativeTimeFormat(locale, { numeric: 'auto' });
  const full = new Intl.DateTimeFormat(locale, { dateStyle: 'long', timeStyle: 'short', timeZone: 'UTC' });
  const day = new Intl.DateTimeFormat(locale, { dateStyle: 'long', timeZone: 'UTC' });
  return {
    ago(atMs) {
      const [count, unit] = largestUnit(Math.max(0, nowMs - atMs));
      return relative.format(-count, unit);
    },
    full: (atMs) => `${full.format(atMs)} UTC`,
    day: (atMs) => day.format(atMs),
    span(milliseconds) {
      // Half a unit more, so that a key made a moment ago has its whole life left.
      const [count, unit] = largestUnit(Math.max(0, milliseconds), 0.5);
      return new Intl.NumberFormat(locale, { style: 'unit', unit, unitDisplay: 'long' }).format(count);
    },
  };
}

function largestUnit(milliseconds: number, more = 0): [number, 'second' | 'minute' | 'hour' | 'day'] {
  if (milliseconds < MINUTE_MS) return [0, 'second'];
  if (milliseconds < HOUR_MS) return [Math.floor(milliseconds / MINUTE_MS + more), 'minute'];
  if (milliseconds < 2 * DAY_MS) return [Math.floor(milliseconds / HOUR_MS + more), 'hour'];
  return [Math.floor(milliseconds / DAY_MS + more), 'day'];
}
