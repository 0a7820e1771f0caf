import { GatewayError } from '../core/gateway-error.ts';
import { clientNetwork } from '../core/network.ts';
import type { LimitedBy, RouteLimit } from '../policy/policy.ts';
import type { LimitTable } from '../rate-limit/limit-table.ts';
import type { WindowRate } from '../rate-limit/window-rate.ts';
import { openBudget } from './budget.ts';
import type { RequestContext } from './request-context.ts';
import type { PipelineServices } from './services.ts';
import { shed } from './shed.ts';

/** What a key gets on a route whose policy names no limit. */
const KEY_DEFAULT: RouteLimit = {
  name: 'api_key',
  per: ['api_key'],
  requests: { name: 'api_key', count: 7, windowMs: 1000 },
  bytes: undefined,
  parallel: undefined,
};
/** What a session gets on the account page, whose every view asks the stores. */
const ACCOUNT_RATE: WindowRate = { name: 'account', count: 60, windowMs: 60_000 };
const GENERATION_DIGITS = 2;
const NO_HEADERS: readonly string[] = [];

/**
 * Counts a request under its route's limit for client networks, before anybody is asked who comes.
 *
 * @throws GatewayError `rate_limited`.
 */
export function limitClient(context: RequestContext, services: PipelineServices): void {
  const limit = context.route?.limit;
  if (limit === undefined || !limit.per.includes('client')) return;
  apply(context, services, limit, 'client', clientNetwork(context.clientAddress));
}

/**
 * Counts a request for whoever it turned out to come from: session, subject, account, API key. A key's own rate takes
 * the place of the route's; a key on a route without a limit gets seven requests a second. While the process is
 * overloaded it is turned away before it is counted.
 *
 * @throws GatewayError `overloaded`, `rate_limited`.
 */
export function limitPrincipal(context: RequestContext, services: PipelineServices): void {
  shed(context, services.load.level);
  const limit = context.route?.limit ?? (context.key === undefined ? undefined : KEY_DEFAULT);
  if (limit === undefined) return;
  for (const by of limit.per) {
    const name = by === 'client' ? undefined : nameOf(context, by);
    if (name !== undefined) apply(context, services, limit, by, name);
  }
}

/** Counts a request to the account page for its session. @throws GatewayError `rate_limited`. */
export function limitAccountPage(context: RequestContext, limits: LimitTable, sessionId: string): void {
  count(context, limits, ACCOUNT_RATE, sessionId);
}

function apply(
  context: RequestContext,
  services: PipelineServices,
  limit: RouteLimit,
  by: LimitedBy,
  name: string,
): void {
  const { limits } = services;
  const requests = (by === 'api_key' ? context.key?.rate : undefined) ?? limit.requests;
  if (requests !== undefined) count(context, limits, requests, name);
  if (limit.bytes !== undefined) openBudget(context, services, limit.name, limit.bytes, by, name);
  if (limit.parallel === undefined) return;
  const place = { places: limits.places(limit.parallel), name };
  if (context.turns === undefined) context.turns = [place];
  else context.turns.push(place);
}

/**
 * `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers), as flat names and values. Budgets of bytes
 * are told to programs, and to browsers once half of them is used up.
 */
export function limitHeaders({ counted, budgets, key }: RequestContext): readonly string[] {
  if (counted === undefined && budgets === undefined) return NO_HEADERS;
  let limits = '';
  let policies = '';
  if (counted !== undefined) {
    const { rate, slot, atMs } = counted;
    limits = `"${rate.name}";r=${Math.max(0, slot.remaining)};t=${secondsLeft(rate, slot.endsMs - atMs)}`;
    policies = `"${rate.name}";q=${rate.count};w=${Math.ceil(rate.windowMs / 1000)}`;
  }
  for (const { rate, slot, atMs } of budgets ?? []) {
    if (key === undefined && slot.remaining > rate.count / 2) continue;
    const comma = limits === '' ? '' : ', ';
    limits += `${comma}"${rate.name}";r=${Math.max(0, slot.remaining)};t=${secondsLeft(rate, slot.endsMs - atMs)}`;
    policies += `${comma}"${rate.name}";q=${rate.count};qu="content-bytes";w=${Math.ceil(rate.windowMs / 1000)}`;
  }
  return limits === '' ? NO_HEADERS : ['ratelimit', limits, 'ratelimit-policy', policies];
}

/** At most the window: one that this request began starts a moment after the request came. */
function secondsLeft({ windowMs }: { readonly windowMs: number }, leftMs: number): number {
  return Math.max(0, Math.ceil(Math.min(windowMs, leftMs) / 1000));
}

function nameOf({ account, session, key, subject }: RequestContext, by: LimitedBy): string | undefined {
  switch (by) {
    case 'api_key':
      // All generations of a key count together.
      return key?.id.slice(0, -GENERATION_DIGITS);
    case 'session':
      return session?.id;
    case 'subject':
      return subject === undefined ? undefined : `${account}\n${subject}`;
    default:
      return account;
  }
}

function count(context: RequestContext, limits: LimitTable, rate: WindowRate, name: string): void {
  const slot = limits.find(rate).take(name);
  const { counted } = context;
  const atMs = limits.now();
  if (counted === undefined || slot.remaining < counted.slot.remaining)
    context.counted = { rate, slot, atMs };
  if (slot.remaining >= 0) return;
  context.refusedBy = rate.name;
  throw new GatewayError('rate_limited', `limit "${rate.name}" is reached`, {
    retryAfterSeconds: Math.max(1, secondsLeft(rate, slot.endsMs - atMs)),
  });
}
