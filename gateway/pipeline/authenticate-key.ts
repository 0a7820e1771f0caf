import type { KeyService, KeyVerdict, LiveKey } from '../api-key/api-key.ts';
import { GatewayError } from '../core/gateway-error.ts';
import type { RouteAccess } from '../policy/policy.ts';
import type { RequestContext } from './request-context.ts';

/** Whether a route lets keys in. */
export function takesKeys(access: RouteAccess): boolean {
  return access === 'api_key' || access === 'session_or_key';
}

/**
 * Finds out whose key came with the request. Answers without a promise when the key is known to this process.
 *
 * @throws GatewayError `key_malformed`, `key_unknown`, `key_expired`, `key_revoked`, `key_rotated`, `key_held`,
 *   `account_mismatch`, `store_unavailable`.
 */
export function authenticateKey(
  context: RequestContext,
  keys: KeyService,
  text: string,
): void | Promise<void> {
  const verdict = keys.verify(text, context);
  if (verdict instanceof Promise) return verdict.then((found) => admit(context, found));
  admit(context, verdict);
  return undefined;
}

function admit(context: RequestContext, verdict: KeyVerdict): void {
  const key = liveKey(verdict);
  const { id, account } = key;
  if (account !== context.account) {
    context.foreign = { kind: 'api_key', id, account };
    throw new GatewayError('account_mismatch', `key ${id} is of account "${account}"`);
  }
  context.key = key;
}

function liveKey(verdict: KeyVerdict): LiveKey {
  if (verdict.kind === 'live') return verdict.key;
  const { code, id } = verdict;
  throw new GatewayError(code, id === undefined ? 'the key was refused' : `key ${id} was refused`);
}

/**
 * Asks again about a key that stopped while its request was under way, to say precisely why.
 *
 * @throws GatewayError as {@link authenticateKey}; nothing when it works again.
 */
export async function confirmKey(context: RequestContext, keys: KeyService): Promise<void> {
  if (context.presentedKey !== undefined) liveKey(await keys.verify(context.presentedKey, context));
}
