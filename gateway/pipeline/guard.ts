import { GatewayError } from '../core/gateway-error.ts';
import { takeCookies } from './browser-cookies.ts';
import { hostName } from './host.ts';
import { checkTarget } from './path.ts';
import type { RequestContext } from './request-context.ts';

/**
 * First stage: refuses what could mean two things to two readers. Framing itself is the parsers' work; here are the
 * method, the target, the host and the cookies.
 *
 * @throws GatewayError `method_refused`, `bad_path`, `bad_host`, `bad_request`, `bad_cookie`.
 */
export function guard(context: RequestContext): void {
  const { message, head } = context;
  if (message.method === 'CONNECT' || message.method === 'TRACE') {
    throw new GatewayError('method_refused', `method ${message.method} is never forwarded`);
  }
  const { path, search } = checkTarget(message.target);
  context.path = path;
  context.search = search;
  if (head.hostCount > 1) throw new GatewayError('bad_host', 'more than one Host header');
  if (head.hasTwoTypes) throw new GatewayError('bad_request', 'more than one Content-Type header');
  context.host = hostName(message.authority);
  if (!context.snapshot.servesHost(context.host))
    throw new GatewayError('bad_host', `no certificate is for the host "${context.host}"`);
  const { sessions } = context.snapshot.policy;
  const { token, known, rest } = takeCookies(head.cookie, sessions.isVaulted, sessions.isStripped);
  context.cookieToken = token;
  context.knownCookie = known;
  context.cookies = rest;
}
