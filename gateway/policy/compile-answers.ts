import { OPENER_POLICIES, REFERRER_POLICIES } from './answer-schema.ts';
import type { PolicySettings } from './policy-schema.ts';
import type { CrossOriginPolicy, SecurityHeaders } from './policy.ts';

type HeaderSettings = Omit<PolicySettings['headers'], 'hsts' | 'hsts_subdomains'>;

/** Security headers of a route: those of all, and what the route says otherwise. */
export function compileHeaders(
  all: HeaderSettings,
  own: { readonly [Name in keyof HeaderSettings]?: HeaderSettings[Name] | undefined } = {},
): SecurityHeaders {
  const referrer = own.referrer_policy ?? all.referrer_policy;
  const opener = own.opener_policy ?? all.opener_policy;
  const permissions = own.permissions_policy ?? all.permissions_policy;
  const content = own.content_security_policy ?? all.content_security_policy;
  const ranked = { referrer: given(referrer), opener: given(opener) };
  const permissionsPolicy = given(permissions);
  const contentSecurity = given(content);
  return {
    nosniff: own.nosniff ?? all.nosniff,
    referrer: ranked.referrer,
    opener: ranked.opener,
    permissions: permissionsPolicy,
    contentSecurity,
    pageHeaders: [
      ...pair('referrer-policy', ranked.referrer),
      ...pair('cross-origin-opener-policy', ranked.opener),
      ...pair('permissions-policy', permissionsPolicy),
      ...pair('content-security-policy', contentSecurity),
    ],
  };
}

/** Value of `Strict-Transport-Security` (RFC 6797 section 6.1); empty for none. */
export function compileStrictTransport({ hsts, hsts_subdomains: all }: PolicySettings['headers']): string {
  return hsts === 0 ? '' : `max-age=${Math.floor(hsts / 1000)}${all ? '; includeSubDomains' : ''}`;
}

/** Compiles a list of origins. */
export function compileCrossOrigin(cors: PolicySettings['cors']): CrossOriginPolicy | undefined {
  if (cors === undefined) return undefined;
  return {
    origins: new Set(cors.origins),
    isOpen: cors.origins.includes('*'),
    credentials: cors.credentials,
    headers: cors.headers.join(', '),
    expose: cors.expose.join(', '),
    maxAgeSeconds: Math.floor(cors.max_age / 1000),
  };
}

/**
 * The stricter one of two values of `Referrer-Policy` (of a list of them the last that is known counts).
 *
 * @param theirs as the upstream sent it.
 */
export function stricterReferrer(ours: string, theirs: string): string {
  const known = theirs.split(',').map((each) => each.trim().toLowerCase());
  const last = known.findLast((each) => rankOf(REFERRER_POLICIES, each) !== -1);
  return last !== undefined && rankOf(REFERRER_POLICIES, last) < rankOf(REFERRER_POLICIES, ours)
    ? last
    : ours;
}

/** The stricter one of two values of `Cross-Origin-Opener-Policy`. */
export function stricterOpener(ours: string, theirs: string): string {
  const rank = rankOf(OPENER_POLICIES, theirs.split(';')[0]?.trim() ?? '');
  return rank !== -1 && rank < rankOf(OPENER_POLICIES, ours) ? theirs : ours;
}

/**
 * Joins two values of `Permissions-Policy`: what one of them forbids to everybody stays forbidden; of what both allow
 * to somebody the upstream's own list counts.
 */
export function joinPermissions(ours: string, theirs: string): string {
  const joined = new Map(features(ours));
  for (const [name, allowed] of features(theirs)) if (joined.get(name) !== '()') joined.set(name, allowed);
  return [...joined].map(([name, allowed]) => `${name}=${allowed}`).join(', ');
}

function features(text: string): (readonly [string, string])[] {
  return text.split(',').flatMap((each) => {
    const equals = each.indexOf('=');
    return equals === -1 ? [] : [[each.slice(0, equals).trim(), each.slice(equals + 1).trim()] as const];
  });
}

function rankOf(values: readonly string[], value: string): number {
  return values.indexOf(value);
}

function given(text: string | undefined): string | undefined {
  return text === 'off' ? undefined : text;
}

function pair(name: string, value: string | undefined): string[] {
  return value === undefined ? [] : [name, value];
}
