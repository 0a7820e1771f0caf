import { GatewayError } from '../core/gateway-error.ts';
import { findRoute } from '../policy/find-route.ts';
import type { CrossOriginPolicy } from '../policy/policy.ts';
import type { OwnAnswer } from './own-page.ts';
import type { RequestContext } from './request-context.ts';

const NO_HEADERS: readonly string[] = [];

/**
 * What scripts of another origin may do with an answer (Fetch Standard, CORS protocol): the policy says so, and never
 * the upstream.
 *
 * @returns flat names and values.
 */
export function accessHeaders({ route, head }: RequestContext): readonly string[] {
  const cors = route?.crossOrigin;
  if (cors === undefined) return NO_HEADERS;
  // The answer to one origin must not be kept for another.
  const headers = cors.isOpen ? [] : ['vary', 'Origin'];
  if (!isListed(cors, head.origin)) return headers;
  pushAllowed(headers, cors, head.origin);
  if (cors.expose !== '') headers.push('access-control-expose-headers', cors.expose);
  return headers;
}

/** Whether the policy lets this origin act on a route. */
export function isListed(cors: CrossOriginPolicy | undefined, origin: string | undefined): origin is string {
  return cors !== undefined && origin !== undefined && (cors.isOpen || cors.origins.has(origin));
}

/**
 * Answers a preflight: the question whether a script of another origin may send a request that no form could send. It
 * carries no session and no key, so the route is the one that the request itself would take.
 *
 * @returns `undefined` when it is none.
 * @throws GatewayError `cross_site` when the policy does not list the origin there.
 */
export function preflightAnswer(context: RequestContext): OwnAnswer | undefined {
  const { head, snapshot } = context;
  if (context.method !== 'OPTIONS' || head.origin === undefined) return undefined;
  const method = context.header('access-control-request-method');
  if (method === undefined) return undefined;
  const { host, path, query, clientAddress } = context;
  const header = (name: string) => context.header(name);
  const route = findRoute(snapshot.policy.routes, { method, host, path, query, header, clientAddress });
  const cors = route?.access === 'deny' || route?.access === 'admin' ? undefined : route?.crossOrigin;
  if (cors === undefined || !isListed(cors, head.origin))
    throw new GatewayError('cross_site', 'a preflight of an origin that no policy lists');
  const headers = ['vary', 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers'];
  pushAllowed(headers, cors, head.origin);
  headers.push('access-control-allow-methods', method, 'access-control-allow-headers', cors.headers);
  headers.push('access-control-max-age', String(cors.maxAgeSeconds), 'x-request-id', context.requestId);
  return { status: 204, headers, body: Buffer.alloc(0) };
}

function pushAllowed(headers: string[], cors: CrossOriginPolicy, origin: string): void {
  headers.push('access-control-allow-origin', cors.isOpen ? '*' : origin);
  if (cors.credentials) headers.push('access-control-allow-credentials', 'true');
}
