import { GatewayError, type ProblemCode } from '../core/gateway-error.ts';
import { findAccount } from '../pipeline/account.ts';
import { hostName } from '../pipeline/host.ts';
import { checkTarget } from '../pipeline/path.ts';
import { findRoute } from '../policy/find-route.ts';
import type { LoadedPolicy } from '../policy/load-policy.ts';
import type { AccountRule, Policy, RouteAccess } from '../policy/policy.ts';
import type { MatchableRequest } from '../policy/recognition.ts';

/** A request that nobody has sent. */
export interface OfflineRequest {
  readonly method: string;
  /** Host and port; `undefined` takes a host of the asker's account, or of one called `main`. */
  readonly authority: string | undefined;
  /** Path and query as they would stand in the request line. */
  readonly target: string;
  /** By lower-case name. */
  readonly headers: ReadonlyMap<string, string>;
  readonly client: string;
}

/** On whose behalf: taken at their word, because only the policy is asked. */
export type Asker =
  | { readonly kind: 'session'; readonly subject: string; readonly account: string }
  | { readonly kind: 'key'; readonly name: string }
  | { readonly kind: 'admin'; readonly name: string };

/** What the policy says to a request. */
export interface Decision {
  readonly route: string | null;
  readonly access: RouteAccess | null;
  readonly allowed: boolean;
  readonly code: ProblemCode | null;
  readonly region: string | null;
  readonly node: string | null;
  readonly limit: string | null;
  /** Whether it changes data, so that only a primary may answer it. */
  readonly isWrite: boolean;
  /** Why, in words. */
  readonly reason: string;
  /** Earlier routes, and why each was not meant. */
  readonly misses: readonly { readonly name: string; readonly reason: string }[];
}

const NOWHERE = {
  route: null,
  access: null,
  region: null,
  node: null,
  limit: null,
  isWrite: false,
  misses: [],
};

/** Decides over a request as the pipeline's first stages do, without sessions, keys or nodes. */
export function decideOffline(
  loaded: LoadedPolicy,
  asked: OfflineRequest,
  asker: Asker | undefined,
): Decision {
  const { policy } = loaded;
  try {
    const request = matchable(asked, hostName(asked.authority ?? usualHost(policy.accounts, asker)));
    const account = findAccount(policy.accounts, request.host, (name) => request.header(name));
    if (account === undefined) {
      const reason = `no account answers under the host ${request.host}`;
      return { ...NOWHERE, allowed: false, code: 'account_unknown', reason };
    }
    if (request.path.startsWith('/.zasov/'))
      return { ...NOWHERE, allowed: true, code: null, reason: 'the gateway answers this path itself' };
    return decide(loaded, request, account, asker);
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    return { ...NOWHERE, allowed: false, code: error.code, reason: error.message };
  }
}

function decide(
  { policy, settings }: LoadedPolicy,
  request: MatchableRequest,
  account: string,
  asker: Asker | undefined,
): Decision {
  const route = findRoute(policy.routes, request);
  const index = route === undefined ? policy.routes.length : policy.routes.indexOf(route);
  const misses = policy.routes
    .slice(0, index)
    .map(({ name, matches }) => ({ name, reason: matches.mismatch?.(request) ?? 'it does not match' }));
  if (route === undefined)
    return { ...NOWHERE, misses, allowed: false, code: 'route_denied', reason: 'no route matches' };
  const [code, reason] = verdict(route.access, account, asker, settings.admins ?? []);
  const limit = settings.routes[index]?.limit ?? null;
  const place = route.access === 'deny' ? { region: null, node: null } : homeOf(policy, account);
  return {
    route: route.name,
    access: route.access,
    allowed: code === null,
    code,
    ...place,
    limit,
    isWrite: route.writes || !/^(?:GET|HEAD|OPTIONS)$/.test(request.method),
    reason,
    misses,
  };
}

function homeOf({ routing, regions }: Policy, account: string): Pick<Decision, 'region' | 'node'> {
  const home = routing.homeByAccount.get(account) ?? routing.defaultRegion;
  const nodes = regions.find(({ id }) => id === home)?.nodes ?? [];
  return { region: home, node: nodes[0] ?? null };
}

type Verdict = readonly [code: ProblemCode | null, reason: string];
type Administrators = readonly { readonly name: string }[];

function verdict(
  access: RouteAccess,
  account: string,
  asker: Asker | undefined,
  admins: Administrators,
): Verdict {
  switch (access) {
    case 'deny':
      return ['route_denied', 'the route denies everybody'];
    case 'admin':
      return adminVerdict(asker, admins);
    case 'public':
      return [null, 'the route is open to everybody'];
    default:
      if (asker?.kind === 'admin')
        return ['not_found', 'the admin listener serves admin and public routes only'];
      return principalVerdict(access, account, asker);
  }
}

function principalVerdict(
  access: 'session' | 'api_key' | 'session_or_key',
  account: string,
  asker: Exclude<Asker, { kind: 'admin' }> | undefined,
): Verdict {
  if (asker?.kind === 'key' && access !== 'session') return [null, 'a valid key of this account opens it'];
  if (access === 'api_key') return ['key_missing', 'the route wants an API key'];
  if (asker?.kind !== 'session') {
    return ['session_required', `the route wants a session${access === 'session' ? '' : ' or an API key'}`];
  }
  return asker.account === account
    ? [null, `a session of ${asker.subject} opens account ${account}`]
    : ['account_mismatch', `a session of account ${asker.account} opens nothing of account ${account}`];
}

function adminVerdict(asker: Asker | undefined, admins: Administrators): Verdict {
  if (asker?.kind !== 'admin')
    return ['not_found', 'the route is for administrators, on the admin listener only'];
  return admins.some(({ name }) => name === asker.name)
    ? [null, `${asker.name} is one of the two administrators`]
    : ['not_found', `${asker.name} is not an administrator of these policies`];
}

function matchable(asked: OfflineRequest, host: string): MatchableRequest {
  const { path, search } = checkTarget(asked.target);
  return {
    method: asked.method,
    host,
    path,
    query: new URLSearchParams(search),
    header: (name) => (name === 'host' ? (asked.authority ?? host) : asked.headers.get(name)),
    clientAddress: asked.client,
  };
}

function usualHost(rule: AccountRule, asker: Asker | undefined): string {
  if (rule.kind !== 'host') return 'localhost';
  return `${rule.prefix}${asker?.kind === 'session' ? asker.account : 'main'}${rule.suffix}`;
}
