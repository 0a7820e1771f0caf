import { METHODS } from 'node:http';

import { GatewayError } from '../core/gateway-error.ts';
import { ADMIN_COOKIE, SESSION_COOKIE } from '../session/session.ts';
import { takeCookies } from './browser-cookies.ts';
import { hostName } from './host.ts';
import { checkTarget } from './path.ts';
import type { RequestContext } from './request-context.ts';

/** HTTP/2 brings any text as a method; upstreams get what HTTP/1.1's parser would let through. */
const FORWARDED_METHODS = new Set(METHODS.filter((method) => method !== 'CONNECT' && method !== 'TRACE'));

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
  guardMessage(context);
  const { path, search } = checkTarget(message.target);
  context.path = path;
  context.search = search;
  if (head.hasTwoTypes) throw new GatewayError('bad_request', 'more than one Content-Type header');
  guardHost(context);
  context.host = hostName(message.authority);
  if (!context.snapshot.servesHost(context.host))
    throw new GatewayError('bad_host', `no certificate is for the host "${context.host}"`);
  const { sessions } = context.snapshot.policy;
  const own = context.visitor === undefined ? SESSION_COOKIE : ADMIN_COOKIE;
  const { token, known, wrote, rest } = takeCookies(
    head.cookie,
    own,
    sessions.isVaulted,
    sessions.isStripped,
  );
  context.cookieToken = token;
  context.knownCookie = known;
  context.wroteToken = wrote;
  context.cookies = rest;
}

function guardMessage({ message, head }: RequestContext): void {
  if (!FORWARDED_METHODS.has(message.method))
    throw new GatewayError('method_refused', 'CONNECT, TRACE or a method that nobody knows');
  if (message.rawHeaders.length > 2 * HEADER_FIELDS)
    throw new GatewayError('headers_too_large', `more than ${HEADER_FIELDS} header fields`);
  if (head.codings !== undefined && (head.codings !== 'chunked' || message.protocol !== 'http/1.1'))
    throw new GatewayError('bad_request', 'a transfer coding other than chunked');
}

function guardHost({ message, head }: RequestContext): void {
  if (head.hostCount > 1) throw new GatewayError('bad_host', 'more than one Host header');
  // RFC 9113 section 8.3.1: two names for the host are no name.
  if (head.hostCount === 1 && head.host !== message.authority && !isAlike(head.host, message.authority))
    throw new GatewayError('bad_host', 'Host is not :authority');
}

function isAlike(host: string, authority: string): boolean {
  return host.toLowerCase() === authority.toLowerCase();
}
