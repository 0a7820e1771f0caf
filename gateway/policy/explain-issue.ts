import type { z } from 'zod';

import { didYouMean } from './did-you-mean.ts';
import type { Mistake } from './mistake.ts';
import type { PolicyDocument } from './policy-document.ts';
import { unpackWording, type Wording } from './wording.ts';
import type { Trail } from './yaml-source.ts';

type Issue = z.core.$ZodIssue;

/** Says in an operator's words, and with a place, what the schema found. */
export function explainIssues(issues: readonly Issue[], document: PolicyDocument): Mistake[] {
  return issues.flatMap((issue) => explain(issue, [], document));
}

function explain(issue: Issue, above: Trail, document: PolicyDocument): Mistake[] {
  const trail = [...above, ...issue.path];
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => unknownKey(key, trail, unpackWording(issue.message), document));
    case 'invalid_union': {
      const branch = nearestBranch(issue);
      return branch === undefined
        ? wrongValue(trail, unpackWording(issue.message), document)
        : branch.flatMap((inner) => explain(inner, trail, document));
    }
    case 'invalid_key': {
      const wording = unpackWording(issue.issues[0]?.message ?? issue.message);
      const place = document.placeOfKey(trail);
      return [{ ...place, ...phrase(trail.slice(0, -1), wording, String(trail.at(-1))) }];
    }
    default:
      return wrongValue(trail, unpackWording(issue.message), document);
  }
}

/** The alternative that the operator seems to have meant: the one whose outermost form fits. */
function nearestBranch({ errors, message }: Extract<Issue, { code: 'invalid_union' }>) {
  const isForeign = (branch: readonly Issue[]) =>
    branch.some(
      ({ code, path }) => path.length === 0 && (code === 'invalid_type' || code === 'invalid_value'),
    );
  const isWorded = unpackWording(message).allowed !== undefined;
  return errors.find((branch) => !isForeign(branch)) ?? (isWorded ? undefined : errors[0]);
}

function unknownKey(key: string, trail: Trail, wording: Wording, document: PolicyDocument): Mistake {
  return { ...document.placeOfKey([...trail, key]), ...phrase(trail, wording, key) };
}

function wrongValue(trail: Trail, wording: Wording, document: PolicyDocument): Mistake[] {
  const value = valueAt(document.value, trail);
  if (value === undefined) {
    // Of a set that was not read whole nobody can say what is missing.
    if (trail.length === 1 && !document.isWhole) return [];
    const above = trail.slice(0, -1);
    const message = `${inFrontOf(above)}the key "${String(trail.at(-1))}" is missing`;
    return [{ ...document.placeOfKey(above), message, allowed: wording.allowed }];
  }
  if (value === null) {
    const message = `${inFrontOf(trail)}nothing is written here`;
    return [{ ...document.placeOfKey(trail), message, allowed: wording.allowed }];
  }
  return [{ ...document.placeOfValue(trail), ...phrase(trail, wording, document.textOf(trail)) }];
}

function phrase(trail: Trail, wording: Wording, text: string | undefined) {
  const { says, allowed, among, conceal } = wording;
  const isShown = says.endsWith(':') && conceal !== true;
  return {
    message: `${inFrontOf(trail)}${says.replace(/:$/, '')}`,
    text: isShown ? text : undefined,
    allowed,
    suggestion: among === undefined || text === undefined ? undefined : didYouMean(text, among),
  };
}

function inFrontOf(trail: Trail): string {
  return trail.length === 0 ? '' : `${trailName(trail)}: `;
}

/** A place in a policy as people write it: `routes[2].match.path`. */
export function trailName(trail: Trail): string {
  return trail.reduce<string>((name, step) => {
    if (typeof step === 'number') return `${name}[${step}]`;
    return name === '' ? String(step) : `${name}.${String(step)}`;
  }, '');
}

/** The value at a place, `undefined` when there is none. */
export function valueAt(value: unknown, trail: Trail): unknown {
  let found = value;
  for (const step of trail) {
    if (typeof found !== 'object' || found === null || !Object.hasOwn(found, step)) return undefined;
    found = (found as Record<PropertyKey, unknown>)[step];
  }
  return found;
}
