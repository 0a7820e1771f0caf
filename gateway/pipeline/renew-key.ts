import type { IssuedKey, KeyService, LiveKey } from '../api-key/api-key.ts';
import { GatewayError } from '../core/gateway-error.ts';
import { refuseOtherNetwork } from './authorize-key.ts';
import type { RequestContext } from './request-context.ts';

/** The part of an id that all generations of one key share. */
const LINEAGE_LENGTH = 12;

/**
 * Gives a key its successor at its holder's own request, `POST /.zasov/keys/rotate`: a program need not wait for a
 * person who reads warnings. A successor that waits already, because the old key is in its overlap, is handed over.
 *
 * @throws GatewayError `method_refused`, `key_missing`, `key_network`, `key_not_due`.
 */
export async function renewKey(context: RequestContext, keys: KeyService): Promise<IssuedKey> {
  if (context.method !== 'POST')
    throw new GatewayError('method_refused', `method ${context.method} on ${context.path}`);
  const { key } = context;
  if (key === undefined) throw new GatewayError('key_missing', 'a rotation wants the key that is to go');
  refuseOtherNetwork(context, key);
  const next =
    key.warning === undefined ? undefined : ((await keys.renew(key)) ?? (await collect(key, keys)));
  if (next === undefined)
    throw new GatewayError('key_not_due', `key ${key.id} is not inside its warning period`);
  return next;
}

async function collect(key: LiveKey, keys: KeyService): Promise<IssuedKey | undefined> {
  const { account, subject } = key;
  const lineage = key.id.slice(0, LINEAGE_LENGTH);
  const rows = await keys.list({ account, subject });
  const successor = rows.find(({ id, waiting }) => waiting && id.startsWith(lineage));
  return successor === undefined ? undefined : await keys.collect(successor.id, account, subject);
}
