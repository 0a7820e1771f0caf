/** A compiled glob: whether a text matches it as a whole. */
export type Glob = (text: string) => boolean;

/** What a policy may write where a path glob is wanted; shown in error messages. */
export const GLOB_FORM =
  'a path from "/", with * (anything within one segment) and ** (any segments, alone between slashes)';

/**
 * Says what is wrong with a path glob, in words for an operator.
 *
 * @returns a sentence, or `undefined` when {@link compilePathGlob} would accept the pattern.
 */
export function pathGlobMistake(pattern: string): string | undefined {
  if (!pattern.startsWith('/')) return 'a path starts with "/"';
  if (/[?#\\\s]/.test(pattern)) return 'a path holds no "?", "#", "\\" or white space';
  if (pattern.includes('//')) return 'a path holds no "//"; the gateway refuses such requests';
  if (pattern.includes('***')) return 'use * or **, not ***';
  if (/[^/]\*\*|\*\*[^/]/.test(pattern)) return '** stands alone between slashes';
  if (/\/\.{1,2}(?:\/|$)/.test(pattern)) return 'a path holds no "." or ".." segment';
  return undefined;
}

/**
 * Compiles a path glob. `*` matches within one segment; `/**` at the end matches everything below, not the parent
 * itself; `**` in the middle matches any number of segments, none too. The common shapes (exact text, `prefix/**`)
 * become plain string comparisons because the matcher runs on every request, and no shape becomes a regular
 * expression, so that no path takes long to refuse. Letter case counts.
 *
 * @param pattern one that {@link pathGlobMistake} accepts.
 */
export function compilePathGlob(pattern: string): Glob {
  if (!pattern.includes('*')) return (path) => path === pattern;
  const stem = pattern.slice(0, -2);
  if (pattern.endsWith('/**') && !stem.includes('*')) return (path) => path.startsWith(stem);
  if (pattern.indexOf('*') === pattern.length - 1) {
    const prefix = pattern.slice(0, -1);
    return (path) => path.startsWith(prefix) && !path.includes('/', prefix.length);
  }
  return compileSegments(pattern);
}

/**
 * Compiles a glob over free text (a cookie name, a header value): `*` matches anything. Letter case counts.
 */
export function compileTextGlob(pattern: string): Glob {
  const [prefix = '', ...rest] = pattern.split('*');
  const suffix = rest.pop();
  if (suffix === undefined) return (text) => text === pattern;
  const inner = rest.filter((part) => part !== '');
  const shortest = prefix.length + suffix.length;
  if (inner.length === 0)
    return (text) => text.length >= shortest && text.startsWith(prefix) && text.endsWith(suffix);
  // Taking the leftmost place for every part leaves the most room for the parts after it, so nothing is tried twice.
  return (text) => {
    const end = text.length - suffix.length;
    if (end < prefix.length || !text.startsWith(prefix) || !text.endsWith(suffix)) return false;
    let position = prefix.length;
    for (const part of inner) {
      const found = text.indexOf(part, position);
      if (found === -1) return false;
      position = found + part.length;
    }
    return position <= end;
  };
}

/** Compiles globs of either kind into one that any of them satisfies. */
export function anyGlob(globs: readonly Glob[]): Glob {
  const [first, ...others] = globs;
  if (first === undefined) return () => false;
  if (others.length === 0) return first;
  return (text) => globs.some((glob) => glob(text));
}

const ANY_SEGMENTS = undefined;

function compileSegments(pattern: string): Glob {
  const globs = pattern
    .split('/')
    .slice(1)
    .map((segment) => (segment === '**' ? ANY_SEGMENTS : compileTextGlob(segment)));
  // At the end ** wants something to stand in for: `/a/*/**` is what lies below `/a/x`, not `/a/x` itself.
  if (globs.at(-1) === ANY_SEGMENTS) globs.splice(-1, 0, () => true);
  return (path) => path.startsWith('/') && matchSegments(path.split('/'), globs);
}

/** Wildcard matching over segments; only the last `**` passed is ever taken back, which bounds the work. */
function matchSegments(segments: readonly string[], globs: readonly (Glob | undefined)[]): boolean {
  let at = 1;
  let glob = 0;
  let retryGlob = -1;
  let retryAt = 0;
  while (at < segments.length) {
    const wanted = globs[glob];
    if (glob < globs.length && wanted === ANY_SEGMENTS) {
      retryGlob = ++glob;
      retryAt = at;
    } else if (wanted?.(segments[at] ?? '') === true) {
      glob++;
      at++;
    } else {
      if (retryGlob === -1) return false;
      glob = retryGlob;
      at = ++retryAt;
    }
  }
  while (glob < globs.length && globs[glob] === ANY_SEGMENTS) glob++;
  return glob === globs.length;
}
