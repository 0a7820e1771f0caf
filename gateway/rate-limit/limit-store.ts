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
  return { client: connection.client, prefix: LIMIT_PREFIX, hide: hideNames(keyring) };
}

/** Keyed hashes in place of names. */
export function hideNames(keyring: Keyring): (name: string) => string {
  const key = keyring.deriveCurrent('limit-name');
  return (name) => createHmac('sha256', key).update(name).digest('base64url').slice(0, 22);
}
