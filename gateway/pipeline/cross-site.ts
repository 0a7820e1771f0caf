import { GatewayError } from '../core/gateway-error.ts';
import { isListed } from './cross-origin.ts';
import type { RequestContext } from './request-context.ts';

/**
 * Refuses unsafe requests that another site started (OWASP CSRF Cheat Sheet, Fetch Metadata; sibling hosts count as
 * other sites, because one account must not act in another). Clients that send neither header are no browsers. Routes
 * of administrators take none, whatever `allow_cross_site` says.
 *
 * @throws GatewayError `cross_site`.
 */
export function refuseCrossSite(context: RequestContext): void {
  if (context.method === 'GET' || context.method === 'HEAD' || context.method === 'OPTIONS') return;
  if (isForeignSite(context) && !isAllowed(context)) {
    throw new GatewayError(
      'cross_site',
      `an unsafe request from ${context.head.fetchSite ?? 'another origin'}`,
    );
  }
}

/** Whether the browser says that another site started a request. */
export function isForeignSite({ head, message }: RequestContext): boolean {
  const { fetchSite, origin } = head;
  if (fetchSite !== undefined) return fetchSite !== 'same-origin' && fetchSite !== 'none';
  return origin !== undefined && !isOwnOrigin(origin, message.authority);
}

/** Whether an `Origin` header names the host that the request went to, over TLS. */
export function isOwnOrigin(origin: string, authority: string): boolean {
  return origin.toLowerCase() === `https://${authority.toLowerCase()}`;
}

/** Whether the policy lets another site act here for whoever is signed in. */
export function isAllowed({ route, path, snapshot, administrator, head }: RequestContext): boolean {
  const isAdmins = administrator !== undefined && route?.access !== 'public';
  if (isAdmins) return false;
  const cors = route?.crossOrigin;
  return (
    snapshot.policy.sessions.allowsCrossSite(path) ||
    (cors?.credentials === true && isListed(cors, head.origin))
  );
}
