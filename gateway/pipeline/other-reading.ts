import { GatewayError } from '../core/gateway-error.ts';
import { findRoute } from '../policy/find-route.ts';
import type { RouteAccess } from '../policy/policy.ts';
import { isHidden } from './hidden-route.ts';
import type { RequestContext } from './request-context.ts';

/** What makes a path readable in another way; nearly no path has any of it. */
const TELLTALE = /[;%?#A-Z\u0080-\uffff]|[. +](?:\/|$)|::\$/;
const PARAMETERS = /;[^/]*/g;
/** Windows reads `admin::$DATA` and `admin. ` as `admin`; a careless decoder makes a space of a plus. */
const PADDING = /(?:::\$[^/]*|[. +]+)(?=\/|$)/g;
const EMPTY_SEGMENTS = /\/{2,}/g;
const QUESTION = /[?#].*$/;
const INVISIBLE = /\p{Default_Ignorable_Code_Point}/gu;

const CLOSED: ReadonlySet<RouteAccess> = new Set(['deny', 'admin', 'api_key']);

/**
 * Refuses a path that some upstreams read as another one which is closed: Java servers cut `;parameters` off, Windows
 * ignores letter case and dots or spaces at the end of a name, others decode twice or take wide letters for narrow ones.
 * `/Admin` and `/admin;x` must not go where `/admin` may not (OWASP, broken access control by path confusion). What is for administrators does not exist elsewhere, in
 * whatever reading.
 *
 * @throws GatewayError `bad_path`.
 */
export function refuseOtherReading(context: RequestContext): void {
  const { path, route } = context;
  if (!TELLTALE.test(path)) return;
  const plain = plainReading(path);
  const { method, host, query, clientAddress } = context;
  const header = (name: string) => context.header(name);
  const { routes } = context.snapshot.policy;
  const other = findRoute(routes, { method, host, path: plain, query, header, clientAddress });
  if (other === undefined || other === route || !CLOSED.has(other.access)) return;
  if (isHidden(context, other)) context.hidden = other;
  else throw new GatewayError('bad_path', `another reading of the path leads to route "${other.name}"`);
}

/** As the most forgiving upstream reads it. Both cases in turn, because a dotless i is an I to those who capitalise. */
function plainReading(path: string): string {
  return decodedAgain(path)
    .normalize('NFKC')
    .replaceAll(INVISIBLE, '')
    .replace(QUESTION, '')
    .replaceAll(PARAMETERS, '')
    .replaceAll(PADDING, '')
    .replaceAll(EMPTY_SEGMENTS, '/')
    .toUpperCase()
    .toLowerCase();
}

function decodedAgain(path: string): string {
  if (!path.includes('%')) return path;
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}
