import type { RequestMatch } from './compile-request-rule.ts';
import { takesAll } from './find-shadowed.ts';
import type { PolicySettings } from './policy-schema.ts';

type RouteSettings = PolicySettings['routes'][number];
type Access = RouteSettings['access'];

/**
 * Finds requests that a new list of routes treats with less protection than the old one did: an access that lets
 * others in, a limit that is gone, a larger body. Paths, methods and hosts are weighed by what they match and not by
 * the names of routes, so that a route in front of another is seen as well as a changed one. In doubt a change counts
 * as lower: then two people look at it.
 *
 * @returns one line in words for each.
 */
export function loweredRoutes(before: PolicySettings, after: PolicySettings): string[] {
  const found = new Set<string>();
  for (const [index, route] of after.routes.entries()) {
    const earlier = after.routes.slice(0, index);
    for (const line of loweredBy(route, earlier, before, after)) found.add(line);
  }
  return [...found];
}

function loweredBy(
  route: RouteSettings,
  earlier: readonly RouteSettings[],
  before: PolicySettings,
  after: PolicySettings,
): string[] {
  const lines: string[] = [];
  for (const old of before.routes) {
    if (areApart(route.match, old.match)) continue;
    // What an earlier new route takes of it never gets to this one.
    if (earlier.some((other) => covers(other, old))) continue;
    lines.push(...compare(old, route, before, after));
    if (covers(old, route)) return lines;
  }
  if (route.access !== 'deny')
    lines.push(`routes "${route.name}": requests that no route took are ${route.access} now`);
  return lines;
}

function compare(
  old: RouteSettings,
  route: RouteSettings,
  before: PolicySettings,
  after: PolicySettings,
): string[] {
  if (route.access === 'deny') return [];
  const name =
    old.name === route.name ? `routes "${route.name}"` : `routes "${route.name}", before "${old.name}"`;
  const lines: string[] = [];
  if (!isAsStrict(route.access, old.access)) lines.push(`${name}: access ${old.access} → ${route.access}`);
  return old.access === 'deny' ? lines : [...lines, ...compareBounds(name, old, route, before, after)];
}

function compareBounds(
  name: string,
  old: RouteSettings,
  route: RouteSettings,
  before: PolicySettings,
  after: PolicySettings,
): string[] {
  const lines: string[] = [];
  if (old.limit !== undefined && route.limit !== old.limit)
    lines.push(`${name}: limit ${old.limit} → ${route.limit ?? 'none'}`);
  lines.push(...compareHeaders(name, old, route));
  const [oldBytes, newBytes] = [
    old.body_bytes ?? before.protection.body_bytes,
    route.body_bytes ?? after.protection.body_bytes,
  ];
  // The general bound has a row of its own.
  const isOwn = old.body_bytes !== undefined || route.body_bytes !== undefined;
  if (isOwn && newBytes > oldBytes) lines.push(`${name}: body_bytes ${oldBytes} → ${newBytes}`);
  if (old.writes && !route.writes) lines.push(`${name}: writes true → false`);
  return lines;
}

/** What is said to browsers: any other value of its own, since which protects more is not for this file to say. */
function compareHeaders(name: string, old: RouteSettings, route: RouteSettings): string[] {
  const isOther = (part: 'headers' | 'cors') => JSON.stringify(route[part]) !== JSON.stringify(old[part]);
  const lines = isOther('headers') ? [`${name}: other headers`] : [];
  return route.cors !== undefined && isOther('cors') ? [...lines, `${name}: other cors`] : lines;
}

/** Whether nobody gets in by the one who did not by the other. Sessions and keys are different people's. */
function isAsStrict(access: Access, before: Access): boolean {
  if (access === before || before === 'public') return true;
  if (access === 'admin') return before !== 'deny';
  return before === 'session_or_key' && (access === 'session' || access === 'api_key');
}

/**
 * Whether the one takes every request of the other. Where parameters or headers are compared, a rule that lets in and
 * one that keeps out read repeated ones differently, so it is not said to.
 */
function covers(wide: RouteSettings, narrow: RouteSettings): boolean {
  const isPlain = wide.match.query === undefined && wide.match.header === undefined;
  return (isPlain || isOpening(wide) === isOpening(narrow)) && takesAll(wide.match, narrow.match);
}

function isOpening({ access }: RouteSettings): boolean {
  return access !== 'deny' && access !== 'admin';
}

/** Whether no request can match both; only where it is sure. */
function areApart(one: RequestMatch, other: RequestMatch): boolean {
  const areMethodsApart =
    one.method !== undefined &&
    other.method !== undefined &&
    !one.method.some((method) => other.method?.includes(method));
  return areMethodsApart || areGlobsApart(one.path, other.path) || areGlobsApart(one.host, other.host);
}

function areGlobsApart(one: readonly string[] | undefined, other: readonly string[] | undefined): boolean {
  if (one === undefined || other === undefined) return false;
  return one.every((glob) => other.every((each) => areTextsApart(glob, each)));
}

/** Two globs whose texts before their first `*`, or after their last, cannot be the same. */
function areTextsApart(one: string, other: string): boolean {
  // `/**` at the end also takes the path without it.
  const [a, b] = [one.replace(/\/\*\*$/, '*'), other.replace(/\/\*\*$/, '*')];
  const isPlain = (glob: string) => !glob.includes('*');
  if (isPlain(a) && isPlain(b)) return a !== b;
  const start = (glob: string) => glob.split('*', 1)[0] ?? '';
  const end = (glob: string) => glob.split('*').at(-1) ?? '';
  const begins = start(a).startsWith(start(b)) || start(b).startsWith(start(a));
  const ends = end(a).endsWith(end(b)) || end(b).endsWith(end(a));
  if (!begins || !ends) return true;
  // A text without `*` that is shorter than what the other begins with.
  return (isPlain(a) && !a.startsWith(start(b))) || (isPlain(b) && !b.startsWith(start(a)));
}
