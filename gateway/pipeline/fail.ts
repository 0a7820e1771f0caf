import { GatewayError } from '../core/gateway-error.ts';
import { CLEARING_ADMIN_COOKIE, CLEARING_COOKIE } from '../session/session.ts';
import { keyHeaders } from './answer-headers.ts';
import { ACCOUNT_PATH, CONSOLE_PATH, OWN_PREFIX, ROTATE_PATH } from './authenticate.ts';
import { accessHeaders } from './cross-origin.ts';
import { limitHeaders } from './limit.ts';
import type { OwnAnswer } from './own-page.ts';
import { PAGE_SECURITY, problemPage } from './problem-page.ts';
import type { RequestContext } from './request-context.ts';

/**
 * The one exit of every failed request: an RFC 9457 problem document, a small page for a person, or a redirect to
 * the login page. Says nothing about the inside of the gateway; the log does.
 *
 * @returns what to answer, and the error as the log should tell it.
 */
export function failureAnswer(
  context: RequestContext,
  thrown: unknown,
): { answer: OwnAnswer; error: GatewayError } {
  const error =
    thrown instanceof GatewayError
      ? thrown
      : new GatewayError('internal', 'a stage failed', { cause: thrown });
  const headers = [
    'cache-control',
    'no-store',
    'x-content-type-options',
    'nosniff',
    'x-request-id',
    context.requestId,
  ];
  if (error.retryAfterSeconds !== undefined) headers.push('retry-after', String(error.retryAfterSeconds));
  if (clearsCookie(context)) headers.push('set-cookie', clearingCookie(context));
  const { strictTransport } = context.snapshot;
  if (strictTransport !== '') headers.push('strict-transport-security', strictTransport);
  headers.push(...keyHeaders(context), ...limitHeaders(context), ...accessHeaders(context));
  const elsewhere = redirection(context, error);
  if (elsewhere !== undefined) {
    headers.push('location', elsewhere, 'content-length', '0');
    return {
      answer: { status: context.method === 'GET' ? 302 : 303, headers, body: Buffer.alloc(0) },
      error,
    };
  }
  if (error.status === 405) headers.push('allow', allowedMethods(context));
  if (error.status === 401) headers.push('www-authenticate', challenge(context, error));
  const body = Buffer.from(
    context.isPageLoad ? page(context, error, headers) : problem(context, error, headers),
  );
  headers.push('content-length', String(body.byteLength));
  return {
    answer: { status: error.status, headers, body: context.method === 'HEAD' ? Buffer.alloc(0) : body },
    error,
  };
}

/** RFC 9110 section 15.5.6 wants to hear what is possible instead. */
function allowedMethods({ path }: RequestContext): string {
  if (path === ROTATE_PATH) return 'POST';
  if (path === ACCOUNT_PATH) return 'GET, HEAD, POST';
  return path.startsWith(OWN_PREFIX) ? 'GET, HEAD' : 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS';
}

/** How to do better (RFC 9110 section 11.6.1); where a bearer key is taken, in the words of RFC 6750 section 3. */
function challenge({ account, snapshot }: RequestContext, { code }: GatewayError): string {
  const { bearer, basic } = snapshot.policy.apiKeys.places;
  if (!code.startsWith('key_') || !(bearer || basic)) return `Zasov realm="${account}"`;
  if (!bearer) return `Basic realm="${account}", charset="UTF-8"`;
  return `Bearer realm="${account}"${code === 'key_missing' ? '' : ', error="invalid_token"'}`;
}

function problem(context: RequestContext, error: GatewayError, headers: string[]): string {
  headers.push('content-type', 'application/problem+json');
  return JSON.stringify({
    type: `urn:zasov:problem:${error.code}`,
    title: error.title,
    status: error.status,
    code: error.code,
    request_id: context.requestId,
  });
}

function page(context: RequestContext, error: GatewayError, headers: string[]): string {
  headers.push('content-type', 'text/html; charset=utf-8', 'content-security-policy', PAGE_SECURITY);
  if (!context.hasQueryKey) headers.push('referrer-policy', 'no-referrer');
  headers.push('vary', 'Accept-Language');
  const { loginPage } = context.snapshot.policy.sessions;
  return problemPage(error.code, error.status, context.requestId, context.head.acceptLanguage, loginPage);
}

/**
 * The browser is told to forget a session that was over when the request came. Not after a sign-in, and not when the
 * session ended under way: the browser may hold a newer cookie by now, and this answer would take it away.
 */
function clearsCookie({ verdict, endedHere }: RequestContext): boolean {
  return endedHere || (verdict.kind === 'ended' && verdict.reason !== 'login');
}

/** What removes the session's cookie from the browser, on whichever listener. */
function clearingCookie({ administrator }: RequestContext): string {
  return administrator === undefined ? CLEARING_COOKIE : CLEARING_ADMIN_COOKIE;
}

/** Where a person is sent who opened a page: to the login page, or from the bare admin listener to its console. */
function redirection(context: RequestContext, error: GatewayError): string | undefined {
  if (redirectsToLogin(context, error)) return context.snapshot.policy.sessions.loginPage;
  const isFront = context.path === '/' && error.code === 'not_found' && context.method === 'GET';
  return isFront && context.administrator !== undefined && context.isPageLoad ? CONSOLE_PATH : undefined;
}

function redirectsToLogin(context: RequestContext, error: GatewayError): boolean {
  if (error.code !== 'session_required' && error.code !== 'session_ended') return false;
  // An upgrade cannot follow a redirect, and the login page itself must not redirect to itself.
  const isWanted = context.isPageLoad && context.administrator === undefined;
  if (!isWanted || context.route?.onUnauthenticated === '401') return false;
  return context.path !== context.snapshot.policy.sessions.loginPage;
}
