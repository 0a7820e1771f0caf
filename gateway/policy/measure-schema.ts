import { BYTE_SIZE_FORM, parseByteSize } from '../core/byte-size.ts';
import { DURATION_FORM, parseDuration, parseMonths } from '../core/duration.ts';
import { type Reading, scalar } from './wording.ts';

const DURATION_PATTERN = String.raw`^\d{1,9}(ms|s|m|h|d|w)$`;
const SIZE = String.raw`\d{1,9}(B|KB|MB|GB|KiB|MiB|GiB|TiB)`;
const PERIOD = String.raw`\d{1,9}(ms|s|m|h|d|w)`;

/** A length of time between two others, given as in a policy; becomes milliseconds. */
export function duration(least: string, most: string) {
  return scalar<number>({
    not: 'not a duration',
    allowed: `${DURATION_FORM}; from ${least} to ${most}`,
    read: (text) => within(parseDuration(text), parseDuration(least), parseDuration(most), 'duration'),
    schema: { pattern: DURATION_PATTERN, examples: [least, most] },
  });
}

/** How long an API key lives: calendar months are not a fixed number of milliseconds. */
export type KeyAge = { readonly months: number } | { readonly ms: number };

/** An age of half a year at most. */
export function keyAge() {
  const halfYearMs = 184 * 86_400_000;
  return scalar<KeyAge>({
    not: 'not an age of a key',
    allowed: `months or a duration: 6mo, 90d, 12h; at most 6mo`,
    read: (text) => {
      const months = parseMonths(text);
      if (months !== undefined) {
        return months >= 1 && months <= 6 ? { value: { months } } : { mistake: 'a key lives 1 to 6 months' };
      }
      const reading = within(parseDuration(text), 1000, halfYearMs, 'age');
      return reading !== undefined && 'value' in reading ? { value: { ms: reading.value } } : reading;
    },
    schema: { pattern: String.raw`^\d{1,9}(ms|s|m|h|d|w|mo)$`, examples: ['6mo', '90d'] },
  });
}

/** A number of bytes between two others, given as in a policy. */
export function byteSize(least: string, most: string) {
  return scalar<number>({
    not: 'not a size',
    allowed: `${BYTE_SIZE_FORM}; from ${least} to ${most}`,
    read: (text) => within(parseByteSize(text), parseByteSize(least), parseByteSize(most), 'size'),
    schema: { pattern: `^${SIZE}$`, examples: ['64KiB', '64MiB'] },
  });
}

/** So many in a time. */
export interface Rate {
  readonly count: number;
  readonly windowMs: number;
}

/** A number of events in a time: `60/1m`. */
export function eventRate() {
  return scalar<Rate>({
    not: 'not a rate',
    allowed: 'a number, a slash and a duration: 7/1s, 60/1m, 1000/1d',
    read: (text) => rate(text, (count) => (/^\d{1,9}$/.test(count) ? Number(count) : undefined)),
    schema: { pattern: String.raw`^\d{1,9}/${PERIOD}$`, examples: ['60/1m', '7/1s'] },
  });
}

/** A number of bytes in a time: `500MiB/1h`. */
export function byteRate() {
  return scalar<Rate>({
    not: 'not a rate of bytes',
    allowed: 'a size, a slash and a duration: 500MiB/1h, 2GiB/1d',
    read: (text) => rate(text, parseByteSize),
    schema: { pattern: `^${SIZE}/${PERIOD}$`, examples: ['500MiB/1h', '2GiB/1d'] },
  });
}

function rate(text: string, readCount: (text: string) => number | undefined): Reading<Rate> | undefined {
  const [amount = '', window = '', ...rest] = text.split('/');
  const count = readCount(amount);
  const windowMs = parseDuration(window);
  if (count === undefined || windowMs === undefined || rest.length > 0) return undefined;
  if (count === 0) return { mistake: 'a rate of nothing lets nothing through; use access: deny' };
  if (!Number.isSafeInteger(count)) return { mistake: 'the amount is too large' };
  if (windowMs < 1000 || windowMs > 31 * 86_400_000) return { mistake: 'the time is 1s to 31d' };
  return { value: { count, windowMs } };
}

function within(
  value: number | undefined,
  least: number | undefined,
  most: number | undefined,
  kind: string,
): Reading<number> | undefined {
  if (value === undefined) return undefined;
  if (value < (least ?? 0)) return { mistake: `the ${kind} is too small` };
  if (value > (most ?? Number.MAX_SAFE_INTEGER)) return { mistake: `the ${kind} is too large` };
  return { value };
}
