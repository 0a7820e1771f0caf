import type { LiveKey } from '../api-key/api-key.ts';
import { GatewayError } from '../core/gateway-error.ts';
import type { RequestContext } from './request-context.ts';

/**
 * Decides whether a key may do what its request asks for. HEAD goes where GET may (RFC 9110 section 9.3.2).
 *
 * @throws GatewayError `key_network`, `key_scope`.
 */
export function authorizeKey(context: RequestContext, key: LiveKey): void {
  refuseOtherNetwork(context, key);
  const { routes, methods, isReadOnly } = key.scope;
  const { route, method } = context;
  if (routes.length > 0 && route !== undefined && !routes.includes(route.name))
    throw new GatewayError('key_scope', `key ${key.id} is not for route "${route.name}"`);
  const isRead = method === 'GET' || method === 'HEAD' || method === 'OPTIONS';
  if (isReadOnly && !isRead) throw new GatewayError('key_scope', `key ${key.id} may only read`);
  const isListed = methods.includes(method) || (method === 'HEAD' && methods.includes('GET'));
  if (methods.length > 0 && !isListed)
    throw new GatewayError('key_scope', `key ${key.id} is not for method ${method}`);
}

/** @throws GatewayError `key_network`. */
export function refuseOtherNetwork({ clientAddress }: RequestContext, key: LiveKey): void {
  if (key.networks?.includes(clientAddress) === false)
    throw new GatewayError('key_network', `key ${key.id} is not for the network of ${clientAddress}`);
}
