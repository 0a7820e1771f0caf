import { GatewayError } from '../core/gateway-error.ts';
import { clientNetwork } from '../core/network.ts';
import type { LimitedBy, RouteLimit } from '../policy/policy.ts';
import type { LimitTable } from '../rate-limit/limit-table.ts';
import type { RequestRate } from '../rate-limit/request-limit.ts';
import type { RequestContext } from './request-context.ts';

/** What a key gets on a route whose policy names no limit. */
const KEY_DEFAULT: RouteLimit = {
  per: ['api_key'],
  requests: { name: 'api_key', count: 7, windowMs: 1000 },
};
/** What a session gets on the account page, whose every view asks the stores. */
const ACCOUNT_RATE: RequestRate = { name: 'account', count: 60, windowMs: 60_000 };
const GENERATION_DIGITS = 2;
const NO_HEADERS: readonly string[] = [];

/**
 * Counts a request under its route's limit for client networks, before anybody is asked who comes.
 *
 * @throws GatewayError `rate_limited`.
 */
export function limitClient(context: RequestContext, limits: LimitTable): void {
  const limit = context.route?.limit;
  if (limit?.requests === undefined || !limit.per.includes('client')) return;
  count(context, limits, limit.requests, clientNetwork(context.clientAddress));
}

/**
 * Counts a request for whoever it turned out to come from: session, subject, account, API key. A key's own rate takes
 * the place of the route's; a key on a route without a limit gets seven requests a second.
 *
 * @throws GatewayError `rate_limited`.
 */
export function limitPrincipal(context: RequestContext, limits: LimitTable): void {
  const limit = context.route?.limit ?? (context.key === undefined ? undefined : KEY_DEFAULT);
  if (limit?.requests === undefined) return;
  for (const by of limit.per) {
    const name = by === 'client' ? undefined : nameOf(context, by);
    if (name === undefined) continue;
    const own = by === 'api_key' ? context.key?.rate : undefined;
    count(context, limits, own ?? limit.requests, name);
  }
}

/** Counts a request to the account page for its session. @throws GatewayError `rate_limited`. */
export function limitAccountPage(context: RequestContext, limits: LimitTable, sessionId: string): void {
  count(context, limits, ACCOUNT_RATE, sessionId);
}

/** `RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers), as flat names and values. */
export function limitHeaders({ counted }: RequestContext): readonly string[] {
  if (counted === undefined) return NO_HEADERS;
  const { rate, slot, atMs } = counted;
  const resetSeconds = Math.max(0, Math.ceil((slot.endsMs - atMs) / 1000));
  return [
    'ratelimit',
    `"${rate.name}";r=${Math.max(0, slot.remaining)};t=${resetSeconds}`,
    'ratelimit-policy',
    `"${rate.name}";q=${rate.count};w=${Math.ceil(rate.windowMs / 1000)}`,
  ];
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

function count(context: RequestContext, limits: LimitTable, rate: RequestRate, name: string): void {
  const slot = limits.find(rate).take(name);
  const { counted } = context;
  const atMs = limits.now();
  if (counted === undefined || slot.remaining < counted.slot.remaining)
    context.counted = { rate, slot, atMs };
  if (slot.remaining >= 0) return;
  throw new GatewayError('rate_limited', `limit "${rate.name}" is reached`, {
    retryAfterSeconds: Math.max(1, Math.ceil((slot.endsMs - atMs) / 1000)),
  });
}
