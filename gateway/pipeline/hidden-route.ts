import { GatewayError } from '../core/gateway-error.ts';
import type { Route } from '../policy/policy.ts';
import type { RequestContext } from './request-context.ts';

/** Whether a route is for administrators, and this listener is not: then it does not exist here. */
export function isHidden({ administrator }: RequestContext, route: Route | undefined): boolean {
  return route?.access === 'admin' && administrator === undefined;
}

/**
 * Answers for a route that does not exist on this listener. It comes after authentication, where a path of the
 * gateway's own that does not exist is answered too: the two answers, and what they cost, are the same.
 *
 * @throws GatewayError `not_found`.
 */
export function refuseHidden({ hidden }: RequestContext): void {
  if (hidden !== undefined)
    throw new GatewayError('not_found', `route "${hidden.name}" is for the admin listener`);
}
