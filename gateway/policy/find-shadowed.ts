import type { RequestMatch } from './compile-request-rule.ts';
import { globCovers, type GlobKind } from './glob-cover.ts';

/** A route that no request can reach, and the earlier ones that take everything of it. */
export interface Shadowed {
  readonly index: number;
  readonly by: readonly number[];
}

/**
 * Finds routes that no request can reach. Paths, hosts and methods are compared exactly; conditions on query, header
 * and network count as covered only where the earlier route's are the same or wider word for word, so that a route
 * that can be reached is never refused.
 *
 * @param matches the routes' conditions in order; `undefined` where a route could not be read.
 */
export function findShadowed(matches: readonly (RequestMatch | undefined)[]): Shadowed[] {
  const shadowed: Shadowed[] = [];
  for (const [index, match] of matches.entries()) {
    const by = match === undefined ? undefined : coverOf(match, matches.slice(0, index));
    if (by !== undefined) shadowed.push({ index, by });
  }
  return shadowed;
}

/** Every path is covered by an earlier route, not always the same one. */
function coverOf(match: RequestMatch, earlier: readonly (RequestMatch | undefined)[]): number[] | undefined {
  const covers = new Set<number>();
  for (const path of match.path ?? ANY_PATH) {
    const cover = earlier.findIndex(
      (route) => route !== undefined && takesAll(route, { ...match, path: [path] }),
    );
    if (cover === -1) return undefined;
    covers.add(cover);
  }
  return [...covers].toSorted((a, b) => a - b);
}

const ANY_PATH = ['/**'];

/** Whether every request that the narrow one takes is taken by the wide one. False where it is not sure. */
export function takesAll(wide: RequestMatch, narrow: RequestMatch): boolean {
  return (
    coversGlobs(wide.path, narrow.path, 'path') &&
    coversGlobs(wide.host, narrow.host, 'text') &&
    coversWords(wide.method, narrow.method) &&
    coversWords(wide.network, narrow.network) &&
    coversFields(wide.query, narrow.query) &&
    coversFields(wide.header, narrow.header)
  );
}

function coversGlobs(
  wide: readonly string[] | undefined,
  narrow: readonly string[] | undefined,
  kind: GlobKind,
): boolean {
  if (wide === undefined) return true;
  return narrow?.every((inner) => wide.some((outer) => globCovers(outer, inner, kind))) ?? false;
}

function coversWords(wide: readonly string[] | undefined, narrow: readonly string[] | undefined): boolean {
  if (wide === undefined) return true;
  return narrow?.every((one) => wide.includes(one)) ?? false;
}

type Fields = Readonly<Record<string, readonly string[]>>;

function coversFields(wide: Fields | undefined, narrow: Fields | undefined): boolean {
  return Object.entries(wide ?? {}).every(([name, patterns]) => {
    const inner = Object.entries(narrow ?? {}).find(([other]) => other === name)?.[1];
    return inner !== undefined && coversGlobs(patterns, inner, 'text');
  });
}
