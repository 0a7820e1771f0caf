import { randomFillSync } from 'node:crypto';

const DRAW_BYTES = 16 + 8;
const POOL_BYTES = 256 * DRAW_BYTES;

const pool = Buffer.alloc(POOL_BYTES);
let used = POOL_BYTES;

/**
 * A fresh trace id (W3C Trace Context, 32 hex digits) with a span id (16 hex digits) behind it: one text of 48 digits,
 * because two conversions cost twice as much. Random bytes are drawn many at a time.
 */
export function traceAndSpan(): string {
  if (used + DRAW_BYTES > POOL_BYTES) {
    randomFillSync(pool);
    used = 0;
  }
  const text = pool.toString('hex', used, used + DRAW_BYTES);
  used += DRAW_BYTES;
  return text;
}
