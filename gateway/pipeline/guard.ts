import { GatewayError } from '../core/gateway-error.ts';
import { ADMIN_COOKIE, SESSION_COOKIE } from '../session/session.ts';
import { takeCookies } from './browser-cookies.ts';
import { hostName } from './host.ts';
import { checkTarget } from './path.ts';
import type { RequestContext } from './request-context.ts';

/** Most header fields of a request; a browser over HTTP/2 sends one for each cookie beside some twenty. */
const HEADER_FIELDS = 256;

/**
 * First stage: refuses what could mean two things to two readers. Framing itself is the parsers' work; here are the
 * codings (RFC 9112 section 6.1: none but chunked can be taken off without changing what the upstream reads), the
 * method, the target, the host and the cookies.
 *
 * @throws GatewayError `method_refused`, `headers_too_large`, `bad_path`, `bad_host`, `bad_request`, `bad_cookie`.
 */
export function guard(context: RequestContext): void {
  const { message, head } = context;
  if (message.method === 'CONNECT' || message.method === 'TRACE') {
    throw new GatewayError('method_refused', `method ${message.method} is never forwarded`);
  }
  if (message.rawHeaders.length > 2 * HEADER_FIELDS)
    throw new GatewayError('headers_too_large', `more than ${HEADER_FIELDS} header fields`);
  if (head.codings !== undefined && (head.codings !== 'chunked' || message.protocol !== 'http/1.1'))
    throw new GatewayError('bad_request', 'a transfer coding other than chunked');
  const { path, search } = checkTarget(message.target);
  context.path = path;
  context.search = search;
  if (head.hostCount > 1) throw new GatewayError('bad_host', 'more than one Host header');
  if (head.hasTwoTypes) throw new GatewayError('bad_request', 'more than one Content-Type header');
  context.host = hostName(message.authority);
  if (!context.snapshot.servesHost(context.host))
    throw new GatewayError('bad_host', `no certificate is for the host "${context.host}"`);
  const { sessions } = context.snapshot.policy;
  const own = context.visitor === undefined ? SESSION_COOKIE : ADMIN_COOKIE;
  const { token, wrote, rest } = takeCookies(head.cookie, own, sessions.isVaulted, sessions.isStripped);
  context.cookieToken = token;
  context.wroteToken = wrote;
  context.cookies = rest;
}
