import { RateLimiterRedis } from 'rate-limiter-flexible';

import type { EmbeddedCounts } from '../store/embedded-counts.ts';
import type { Keyring } from '../crypto/keyring.ts';
import type { RedisConnection } from '../store/redis-connection.ts';
import { hideNames, type LimitStore, shareLimits } from './limit-store.ts';
import type { WindowRate } from './window-rate.ts';

/** Where a count stands in the store. */
interface CountState {
  readonly counted: number;
  /** How long its window still lasts, in ms. */
  readonly leftMs: number;
}

/**
 * Counts beyond one process: shared with others, or kept over a restart. Names are hidden before they are written.
 * Both methods reject when the store is away; whoever counts goes on alone then.
 */
export interface SharedCounts {
  /** Whether others count here, too; otherwise it only remembers. */
  readonly isCommon: boolean;
  /** Adds to a count, atomically; a window begins with the first. `amount` may be 0 or less. */
  add(rate: WindowRate, name: string, amount: number): Promise<CountState>;
  /** Has nothing left under a name for so long from now. */
  block(rate: WindowRate, name: string, forMs: number): Promise<void>;
}

/**
 * Where the limits of the policies are counted beyond this process: in the shared store, or in the file of the
 * embedded one.
 *
 * @param hasWorkers whether several processes of this node share the embedded store.
 */
export function shareCounts(
  opened: { readonly connection: RedisConnection | undefined; readonly counts: EmbeddedCounts | undefined },
  keyring: Keyring,
  hasWorkers: boolean,
): SharedCounts | undefined {
  const store = shareLimits(opened.connection, keyring);
  if (store !== undefined) return countInRedis(store);
  return opened.counts && countInFile(opened.counts, hideNames(keyring), hasWorkers);
}

/** Counts in the Redis store, by rate-limiter-flexible. */
function countInRedis(store: LimitStore): SharedCounts {
  const limiters = new Map<string, RateLimiterRedis>();
  const limiterOf = (rate: WindowRate): RateLimiterRedis => {
    const text = `${rate.name} ${rate.count}/${rate.windowMs}`;
    const known = limiters.get(text);
    if (known !== undefined) return known;
    const made = new RateLimiterRedis({
      storeClient: store.client,
      keyPrefix: `${store.prefix}:${rate.name}`,
      points: rate.count,
      duration: Math.ceil(rate.windowMs / 1000),
    });
    limiters.set(text, made);
    return made;
  };
  const hidden = (rate: WindowRate, name: string) => store.hide(`${rate.name}\n${name}`);
  return {
    isCommon: true,
    add: async (rate, name, amount) => {
      const limiter = limiterOf(rate);
      const key = hidden(rate, name);
      const told = await (amount < 0 ? limiter.reward(key, -amount) : limiter.penalty(key, amount));
      return { counted: told.consumedPoints, leftMs: Math.max(1, told.msBeforeNext) };
    },
    block: async (rate, name, forMs) => {
      await limiterOf(rate).block(hidden(rate, name), Math.ceil(forMs / 1000));
    },
  };
}

/**
 * Counts in the embedded store's file.
 *
 * @param isCommon whether several workers share the file.
 */
function countInFile(file: EmbeddedCounts, hide: (name: string) => string, isCommon: boolean): SharedCounts {
  const hidden = (rate: WindowRate, name: string) => hide(`${rate.name}\n${name}`);
  return {
    isCommon,
    add: (rate, name, amount) => file.add(hidden(rate, name), amount, rate.windowMs),
    block: (rate, name, forMs) => file.set(hidden(rate, name), rate.count, forMs),
  };
}
