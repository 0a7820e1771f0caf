import type { AdminRefusal } from '../admin/admin.ts';
import { GatewayError, type ProblemCode } from '../core/gateway-error.ts';
import type { SessionService } from '../session/session.ts';
import { refuseCrossSite } from './cross-site.ts';
import type { RequestContext } from './request-context.ts';

/** Said to whoever is refused: enough to put it right for who has a certificate, nothing for others. */
const CODES: Partial<Record<AdminRefusal, ProblemCode>> = {
  no_certificate: 'certificate_missing',
  expired: 'certificate_expired',
};

/** What is said to somebody who is not let in. */
export function refusalCode(refusal: AdminRefusal): ProblemCode {
  return CODES[refusal] ?? 'certificate_refused';
}

/**
 * Sends somebody away who is not one of the two. A cookie of an administrator's session that comes without its
 * certificate was taken from somewhere: the session ends, and it counts as a theft.
 *
 * @throws GatewayError `certificate_missing`, `certificate_expired`, `certificate_refused`; nothing when the request
 *   did not come in on the admin listener, or is an administrator's.
 */
export function refuseVisitor(
  context: RequestContext,
  { sessions }: { readonly sessions: SessionService },
): void | Promise<void> {
  const { visitor, cookieToken } = context;
  if (typeof visitor !== 'string') return undefined;
  const refusal = new GatewayError(refusalCode(visitor), `not let in: ${visitor}`);
  if (cookieToken === undefined) throw refusal;
  const verdict = sessions.authenticate(cookieToken, context, true);
  if (!(verdict instanceof Promise)) throw refusal;
  // A store that is away changes nothing: nobody is let in.
  return verdict.then(
    () => Promise.reject(refusal),
    () => Promise.reject(refusal),
  );
}

/**
 * The routes of the admin listener: those for administrators, and the public ones, without which the pages of an
 * administration would have no style sheet and no sign-in form. All others are elsewhere.
 *
 * @throws GatewayError `not_found`.
 */
export function refuseOtherRoutes({ route }: RequestContext): void {
  if (route?.access === 'admin' || route?.access === 'public') return;
  throw new GatewayError(
    'not_found',
    route === undefined ? 'no route matches' : `route "${route.name}" is not for the admin listener`,
  );
}

/**
 * Decides whether an administrator may do this now. The certificate alone is sent by the browser whoever asks it to,
 * so every unsafe request must be the administrator's own, with or without a session; and one that was prepared in a
 * session that is over is not carried out in the next.
 *
 * @throws GatewayError `cross_site`, `session_ended`.
 */
export function authorizeAdministrator(context: RequestContext): void {
  refuseCrossSite(context);
  const { verdict, method } = context;
  if (verdict.kind === 'ended' && method !== 'GET' && method !== 'HEAD')
    throw new GatewayError('session_ended', `the administrator's session ended: ${verdict.reason}`);
}
