import { GatewayError } from '../core/gateway-error.ts';
import { findRoute } from '../policy/find-route.ts';
import type { Verdict } from '../session/session.ts';
import { countSpellings, findAccount } from './account.ts';
import { authenticateKey, takesKeys } from './authenticate-key.ts';
import { refuseClosedRoute } from './authorize.ts';
import { isHidden } from './hidden-route.ts';
import { refuseOtherReading } from './other-reading.ts';
import { STRANGER, type RequestContext } from './request-context.ts';
import type { PipelineServices } from './services.ts';
import { takeKey } from './take-key.ts';

/** Paths that belong to the gateway itself. */
export const OWN_PREFIX = '/.zasov/';
/** Where people see their own devices and keys. */
export const ACCOUNT_PATH = '/.zasov/account';
/** Where administrators see how things are, on the admin listener. */
export const CONSOLE_PATH = '/.zasov/console';
/** Where a program asks for the successor of its own key. */
export const ROTATE_PATH = '/.zasov/keys/rotate';

/**
 * Second stage: whose data is asked for, and which rule decides.
 *
 * @throws GatewayError `bad_request`, `bad_path`, `account_unknown`, `route_denied`, `not_found`.
 */
export function enter(context: RequestContext): void {
  const { policy } = context.snapshot;
  const account = findAccount(policy.accounts, context.host, (name) => context.header(name));
  const isOwn = context.path.startsWith(OWN_PREFIX);
  // The gateway's own pages for administrators are of no account.
  if (account === undefined && !(isOwn && context.administrator !== undefined))
    throw new GatewayError('account_unknown', `no account under host "${context.host}"`);
  if (policy.accounts.kind === 'header') refuseOtherAccount(context, policy.accounts.header);
  context.account = account ?? '';
  if (isOwn) {
    takeKey(context, context.path === ROTATE_PATH);
    return;
  }
  const route = findRoute(policy.routes, context);
  if (isHidden(context, route)) context.hidden = route;
  else {
    context.route = route;
    refuseClosedRoute(context);
    refuseOtherReading(context);
  }
  // As for a path of our own that does not exist: no limit counts it, and no key is taken.
  if (context.hidden !== undefined) context.route = undefined;
  takeKey(context, takesKeys(context.route?.access ?? 'deny'));
}

/** The account that is decided on is the one that the upstream reads: named once, and not taken off on the way. */
function refuseOtherAccount({ message, head }: RequestContext, name: string): void {
  if (countSpellings(message.rawHeaders, name) !== 1 || !head.forward.includes(name))
    throw new GatewayError('bad_request', 'the account is not named exactly once');
}

/**
 * Third stage: who comes, by key or by session. A key that was presented decides alone: the cookies of whoever holds
 * it count for nothing. Answers without a promise when the key or session is known to this process.
 *
 * @throws GatewayError `store_unavailable`, and the codes of a refused key.
 */
export function authenticate(
  context: RequestContext,
  { sessions, keys }: Pick<PipelineServices, 'sessions' | 'keys'>,
): void | Promise<void> {
  if (context.presentedKey !== undefined) return authenticateKey(context, keys, context.presentedKey);
  if (context.cookieToken === undefined || context.route?.access === 'api_key') return undefined;
  // Pages ask the gateway's own paths by themselves, so that is no sign of a person either; its one page is.
  const isPassive =
    context.path.startsWith(OWN_PREFIX) || context.hidden !== undefined
      ? context.path !== ACCOUNT_PATH
      : context.snapshot.policy.sessions.isPassive(context.path);
  const verdict = sessions.authenticate(context.cookieToken, context, isPassive);
  if (verdict instanceof Promise) return verdict.then((found) => admit(context, found));
  admit(context, verdict);
  return undefined;
}

function admit(context: RequestContext, verdict: Verdict): void {
  if (verdict.kind !== 'live') {
    context.verdict = verdict;
    return;
  }
  // A session opens its own account and no other; where strangers may go, its holder is one.
  const { id, account, subject } = verdict.session;
  if (account !== context.account) {
    if (subject !== undefined) context.foreign = { kind: 'session', id, account };
    context.verdict = STRANGER;
    return;
  }
  context.verdict = verdict;
  context.session = verdict.session;
  context.jarVersion = verdict.session.jarVersion;
}
