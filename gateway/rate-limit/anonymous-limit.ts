import { RateLimiterMemory, RateLimiterRedis, RateLimiterRes } from 'rate-limiter-flexible';
import type { LimitStore } from './limit-store.ts';

/** How many anonymous sessions one client network may begin in a window; the policy's `per_client` fits. */
export interface AnonymousLimitSettings {
  readonly count: number;
  readonly windowMs: number;
}

/**
 * Counts anonymous sessions by client network: each costs a row in the store, and strangers make them.
 *
 * @param shared where several gateways count together. While it is away each counts for itself, from nothing: a
 *   stranger gets the limit once more on every gateway, and nobody is refused because a counter cannot be asked.
 * @returns a function that takes one place and says whether there was one.
 */
export function createAnonymousLimit(
  settings: AnonymousLimitSettings,
  shared?: LimitStore,
): (network: string) => Promise<boolean> {
  const rule = { points: settings.count, duration: Math.ceil(settings.windowMs / 1000) };
  const memory = new RateLimiterMemory(rule);
  const limiter =
    shared === undefined
      ? memory
      : new RateLimiterRedis({
          ...rule,
          storeClient: shared.client,
          keyPrefix: `${shared.prefix}:anonymous`,
          insuranceLimiter: memory,
        });
  const nameOf = (network: string): string => shared?.hide(network) ?? network;
  return async (network) => {
    try {
      await limiter.consume(nameOf(network));
      return true;
    } catch (refusal) {
      if (refusal instanceof RateLimiterRes) return false;
      throw refusal;
    }
  };
}
