import { GatewayError } from '../core/gateway-error.ts';
import { authorizeKey } from './authorize-key.ts';
import type { RequestContext } from './request-context.ts';

/** Closes routes that nobody may enter before anybody is asked who they are. */
export function refuseClosedRoute(context: RequestContext): void {
  switch (context.route?.access) {
    case undefined:
      throw new GatewayError('route_denied', 'no route matches');
    case 'deny':
      throw new GatewayError('route_denied', `route "${context.route.name}" denies everybody`);
    case 'admin':
      // On this listener the administrators' routes do not exist.
      throw new GatewayError('not_found', `route "${context.route.name}" is for the admin listener`);
    default:
  }
}

/**
 * Decides whether the principal may use the route, after authentication.
 *
 * @throws GatewayError `session_required`, `session_ended`, `key_missing`, `key_scope`, `key_network`, `cross_site`.
 */
export function authorize(context: RequestContext): void {
  const { route, verdict, session, key } = context;
  if (key !== undefined) {
    // Another site cannot make a browser send a key.
    authorizeKey(context, key);
    return;
  }
  if (route?.access === 'api_key') {
    throw new GatewayError('key_missing', `route "${route.name}" wants an API key`);
  }
  if (route?.access !== 'public' && session?.subject === undefined) {
    if (verdict.kind === 'ended')
      throw new GatewayError('session_ended', `the session ended: ${verdict.reason}`);
    throw new GatewayError('session_required', 'no live session');
  }
  if (session !== undefined) refuseCrossSite(context);
}

/**
 * Refuses unsafe requests that another site started (OWASP CSRF Cheat Sheet, Fetch Metadata; sibling hosts count as
 * other sites, because one account must not act in another). Clients that send neither header are no browsers.
 *
 * @throws GatewayError `cross_site`.
 */
export function refuseCrossSite(context: RequestContext): void {
  if (context.method === 'GET' || context.method === 'HEAD' || context.method === 'OPTIONS') return;
  if (isForeignSite(context) && !context.snapshot.policy.sessions.allowsCrossSite(context.path)) {
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
