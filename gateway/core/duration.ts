const UNIT_MS: Record<string, number> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 7 * 86_400_000,
};

/** What a policy may write where a length of time is wanted; shown in error messages. */
export const DURATION_FORM = 'a number and a unit: 500ms, 30s, 15m, 12h, 30d, 2w';

/**
 * Reads a policy duration such as `30s`, `15m` or `12h`.
 *
 * @returns milliseconds, or `undefined` when the text is not a duration. Calendar months (`6mo`) are not a fixed
 *   number of milliseconds and are read by {@link parseMonths}.
 */
export function parseDuration(text: string): number | undefined {
  const match = /^(\d{1,9})(ms|s|m|h|d|w)$/.exec(text);
  const unit = match?.[2] === undefined ? undefined : UNIT_MS[match[2]];
  return match && unit !== undefined ? Number(match[1]) * unit : undefined;
}

/**
 * Reads a number of calendar months such as `6mo`.
 *
 * @returns whole months, or `undefined` when the text is something else.
 */
export function parseMonths(text: string): number | undefined {
  const match = /^(\d{1,3})mo$/.exec(text);
  return match ? Number(match[1]) : undefined;
}
