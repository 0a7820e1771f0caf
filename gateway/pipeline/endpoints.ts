import { GatewayError } from '../core/gateway-error.ts';
import type { RequestBody } from '../proxy/request-body.ts';
import { accountDoor } from './account-door.ts';
import { keyHeaders } from './answer-headers.ts';
import { ACCOUNT_PATH, ROTATE_PATH } from './authenticate.ts';
import type { OwnAnswer } from './own-page.ts';
import { renewKey } from './renew-key.ts';
import type { RequestContext } from './request-context.ts';
import type { PipelineServices } from './services.ts';

/**
 * Answers the gateway's own paths on the public listener: `/.zasov/session` tells a single-page application whether
 * its session is alive (a WebSocket or fetch that failed cannot), `/.zasov/jwks.json` is the key set (RFC 7517) of
 * the assertions, `/.zasov/keys/rotate` gives a program the successor of its own API key, `/.zasov/account` shows people
 * their own keys and devices.
 *
 * @param openBody the request's body, if there is one.
 * @throws GatewayError `not_found`, `method_refused`; for a rotation also as `renewKey`, for the page as `accountDoor`.
 */
export function ownEndpoint(
  context: RequestContext,
  services: PipelineServices,
  openBody: () => RequestBody | undefined,
): OwnAnswer | Promise<OwnAnswer> {
  const { administrator } = context;
  const forAdmin = administrator && services.administration.answer(context, administrator, openBody());
  if (forAdmin !== undefined) return forAdmin;
  if (context.path === '/.zasov/session') return answer(context, sessionProbe(context), 'no-store');
  if (context.path === '/.zasov/jwks.json')
    return answer(context, { keys: services.publicKeys }, 'public, max-age=300');
  // What follows is for people of the CRM and their programs.
  if (administrator !== undefined) throw new GatewayError('not_found', `no endpoint ${context.path}`);
  if (context.path === ACCOUNT_PATH) return accountDoor(context, services, openBody);
  if (context.path === ROTATE_PATH)
    return renewKey(context, services.keys).then((next) => json(context, next, 'no-store'));
  throw new GatewayError('not_found', `no endpoint ${context.path}`);
}

function sessionProbe(context: RequestContext): Record<string, unknown> {
  const { session } = context;
  if (session?.subject === undefined || session.ended !== undefined) return { authenticated: false };
  return { authenticated: true, account: session.account, subject: session.subject };
}

function answer(context: RequestContext, value: unknown, caching: string): OwnAnswer {
  if (context.method !== 'GET' && context.method !== 'HEAD') {
    throw new GatewayError('method_refused', `method ${context.method} on ${context.path}`);
  }
  return json(context, value, caching);
}

function json(context: RequestContext, value: unknown, caching: string): OwnAnswer {
  const body = Buffer.from(JSON.stringify(value));
  const headers = [
    'content-type',
    'application/json',
    'cache-control',
    caching,
    'x-content-type-options',
    'nosniff',
    ...keyHeaders(context),
  ];
  headers.push('x-request-id', context.requestId, 'content-length', String(body.byteLength));
  return { status: 200, headers, body: context.method === 'HEAD' ? Buffer.alloc(0) : body };
}
