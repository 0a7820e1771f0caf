import { GatewayError } from '../core/gateway-error.ts';
import { authorizeAdministrator, refuseOtherRoutes } from './admit-administrator.ts';
import { authorizeKey } from './authorize-key.ts';
import { refuseCrossSite } from './cross-site.ts';
import { refuseHidden } from './hidden-route.ts';
import type { RequestContext } from './request-context.ts';

/** Closes routes that nobody may enter before anybody is asked who they are. */
export function refuseClosedRoute(context: RequestContext): void {
  if (context.administrator !== undefined) {
    refuseOtherRoutes(context);
    return;
  }
  switch (context.route?.access) {
    case undefined:
      throw new GatewayError('route_denied', 'no route matches');
    case 'deny':
      throw new GatewayError('route_denied', `route "${context.route.name}" denies everybody`);
    default:
  }
}

/**
 * Decides whether the principal may use the route, after authentication.
 *
 * @throws GatewayError `not_found`, `session_required`, `session_ended`, `account_mismatch`, `key_missing`, `key_scope`, `key_network`, `cross_site`.
 */
export function authorize(context: RequestContext): void {
  const { route, verdict, session, key } = context;
  refuseHidden(context);
  if (context.administrator !== undefined) {
    authorizeAdministrator(context);
    return;
  }
  if (key !== undefined) {
    // Another site cannot make a browser send a key.
    authorizeKey(context, key);
    return;
  }
  if (route?.access === 'api_key') {
    throw new GatewayError('key_missing', `route "${route.name}" wants an API key`);
  }
  if (route?.access !== 'public' && session?.subject === undefined) {
    if (context.foreign !== undefined)
      throw new GatewayError('account_mismatch', `a session of account "${context.foreign.account}"`);
    if (verdict.kind === 'ended')
      throw new GatewayError('session_ended', `the session ended: ${verdict.reason}`);
    throw new GatewayError('session_required', 'no live session');
  }
  if (session !== undefined) refuseCrossSite(context);
}
