import { createHmac } from 'node:crypto';
import type { Keyring } from '../crypto/keyring.ts';
import type { RedisConnection } from '../store/redis-connection.ts';
import { LIMIT_PREFIX } from '../store/redis-keys.ts';

/** Where several gateways count together. */
export interface LimitStore {
  readonly client: RedisConnection['client'];
  readonly prefix: string;
  /** What a client is called in the store, which must not read addresses or names. */
  hide(name: string): string;
}

/** Shares the session store's connection for counting; `undefined` where this machine counts alone. */
export function shareLimits(
  connection: RedisConnection | undefined,
  keyring: Keyring,
): LimitStore | undefined {
  if (connection === undefined) return undefined;
  const key = keyring.deriveCurrent('limit-name');
  return {
    client: connection.client,
    prefix: LIMIT_PREFIX,
    hide: (name) => createHmac('sha256', key).update(name).digest('base64url').slice(0, 22),
  };
}
