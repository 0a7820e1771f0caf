import { anyGlob, compileTextGlob, type Glob } from '../core/glob.ts';
import type { AnswerHead, AnswerRule } from './recognition.ts';

/** A `success` of the policy files, validated. */
export interface AnswerMatch {
  readonly status?: readonly number[] | undefined;
  readonly location?: readonly string[] | undefined;
  readonly sets_cookie?: readonly string[] | undefined;
  readonly header?: Readonly<Record<string, readonly string[]>> | undefined;
  readonly body_has?: readonly string[] | undefined;
  readonly body_lacks?: readonly string[] | undefined;
}

type HeadTest = (answer: AnswerHead) => boolean;

/** Compiles a `success`: all conditions must hold. */
export function compileAnswerRule(match: AnswerMatch): AnswerRule {
  const tests: HeadTest[] = [];
  const { status, location, sets_cookie: cookies } = match;
  if (status !== undefined) tests.push((answer) => status.includes(answer.status));
  if (location !== undefined) tests.push(headerTest('location', location, compileLocation));
  if (cookies !== undefined) {
    const matches = anyGlob(cookies.map(compileTextGlob));
    tests.push((answer) => answer.setsCookies.some(matches));
  }
  for (const [name, patterns] of Object.entries(match.header ?? {}))
    tests.push(headerTest(name.toLowerCase(), patterns, compileTextGlob));
  return { head: (answer) => tests.every((test) => test(answer)), body: bodyTest(match) };
}

/** Of the plain patterns one must match; of those with `!` none may. An absent header matches no pattern at all. */
function headerTest(name: string, patterns: readonly string[], compile: (pattern: string) => Glob): HeadTest {
  const wanted = patterns.filter((pattern) => !pattern.startsWith('!')).map(compile);
  const unwanted = anyGlob(
    patterns.filter((pattern) => pattern.startsWith('!')).map((pattern) => compile(pattern.slice(1))),
  );
  const isWanted = anyGlob(wanted);
  return (answer) => {
    const values = answer.values(name);
    return !values.some(unwanted) && (wanted.length === 0 || values.some(isWanted));
  };
}

/**
 * A pattern that begins with "/" is compared with path and query, however the CRM writes the location: with scheme
 * and host, or relative (then taken from the root, because the answer does not know its request).
 */
function compileLocation(pattern: string): Glob {
  const glob = compileTextGlob(pattern);
  if (!pattern.startsWith('/') || pattern.startsWith('//')) return glob;
  return (location) => {
    const base = 'http://gateway.invalid/';
    if (!URL.canParse(location, base)) return glob(location);
    const { pathname, search } = new URL(location, base);
    return glob(pathname + search);
  };
}

function bodyTest({ body_has: has, body_lacks: lacks }: AnswerMatch): AnswerRule['body'] {
  if (has === undefined && lacks === undefined) return undefined;
  return (text) =>
    (has ?? []).every((part) => text.includes(part)) && !(lacks ?? []).some((part) => text.includes(part));
}
