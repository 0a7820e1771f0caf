import type { PolicySettings } from './policy-schema.ts';
import type { LimitedBy, RouteLimit, SignInRule } from './policy.ts';

/** What a route may take, and from whom; `undefined` where it names no limit. */
export function compileLimit({ limits }: PolicySettings, name: string | undefined): RouteLimit | undefined {
  const limit = name === undefined ? undefined : limits[name];
  if (name === undefined || limit === undefined) return undefined;
  const { per, requests, response_bytes: bytes, parallel } = limit;
  return {
    name,
    per,
    requests: requests && { name, ...requests },
    bytes: bytes && { name: `${name}:bytes`, ...bytes },
    parallel: parallel === undefined ? undefined : { name, most: parallel },
  };
}

/** Limits of failed sign-ins hold wherever somebody signs in, whatever the route's own limit is. */
export function compileSignInRules({ limits }: PolicySettings): SignInRule[] {
  return Object.entries(limits).flatMap(([name, { per, failures, block }]) =>
    failures === undefined
      ? []
      : [{ name, ...failures, blockMs: block ?? failures.windowMs, per: per.filter(countsFailures) }],
  );
}

/** Whether sign-ins can fail by this: nobody has a session or key before signing in. */
function countsFailures(by: LimitedBy): by is SignInRule['per'][number] {
  return by === 'client' || by === 'subject' || by === 'account';
}
