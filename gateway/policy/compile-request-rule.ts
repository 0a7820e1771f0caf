import { anyGlob, compilePathGlob, compileTextGlob, type Glob } from '../core/glob.ts';
import { networkList } from '../core/network.ts';
import { valuesOf } from './parameter-name.ts';
import type { BodyFields, MatchableRequest, RequestRule } from './recognition.ts';

/** A `match` of the policy files, validated. */
export interface RequestMatch {
  readonly path?: readonly string[] | undefined;
  readonly host?: readonly string[] | undefined;
  readonly method?: readonly string[] | undefined;
  readonly query?: Readonly<Record<string, readonly string[]>> | undefined;
  readonly header?: Readonly<Record<string, readonly string[]>> | undefined;
  readonly network?: readonly string[] | undefined;
  readonly form?: Readonly<Record<string, readonly string[]>> | undefined;
  readonly json?: Readonly<Record<string, readonly string[]>> | undefined;
}

/** A `when` of the policy files: fields that are present and not empty. */
export interface BodyPresence {
  readonly form?: readonly string[] | undefined;
  readonly json?: readonly string[] | undefined;
}

/** What a rule does with a request that it means, and so how it takes a parameter that is given several times. */
export type RuleEffect = 'grants' | 'restricts';

interface Condition {
  readonly holds: (request: MatchableRequest) => boolean;
  /** What is there instead, in words. */
  readonly differs: (request: MatchableRequest) => string;
}

/**
 * Compiles a `match`.
 *
 * @param effect a parameter given twice is read differently by different upstreams: a rule that lets requests in
 *   wants every value to match, a rule that keeps them out or watches them is satisfied by one.
 */
export function compileRequestRule(
  match: RequestMatch,
  effect: RuleEffect,
  when?: BodyPresence,
): RequestRule {
  const conditions = headConditions(match, effect);
  const [first, ...others] = conditions.map(({ holds }) => holds);
  return {
    head: first === undefined ? () => true : others.length === 0 ? first : allOf([first, ...others]),
    body: bodyCondition(match, when),
    mismatch: (request) => conditions.find(({ holds }) => !holds(request))?.differs(request),
  };
}

function allOf(holds: readonly Condition['holds'][]): Condition['holds'] {
  return (request) => {
    for (const each of holds) if (!each(request)) return false;
    return true;
  };
}

/** Cheapest first, because most requests miss most rules. */
function headConditions(match: RequestMatch, effect: RuleEffect): Condition[] {
  const conditions: Condition[] = [];
  if (match.method !== undefined) conditions.push(methodCondition(match.method));
  if (match.path !== undefined) conditions.push(pathCondition(match.path));
  if (match.host !== undefined) conditions.push(hostCondition(match.host));
  for (const [name, patterns] of Object.entries(match.query ?? {}))
    conditions.push(queryCondition(name, patterns, effect));
  for (const [name, patterns] of Object.entries(match.header ?? {}))
    conditions.push(headerCondition(name, patterns));
  if (match.network !== undefined) conditions.push(networkCondition(match.network));
  return conditions;
}

function methodCondition(methods: readonly string[]): Condition {
  const [only, ...others] = methods;
  return {
    holds: others.length === 0 ? ({ method }) => method === only : ({ method }) => methods.includes(method),
    differs: ({ method }) => `the method is ${method}, not ${methods.join(' or ')}`,
  };
}

function pathCondition(patterns: readonly string[]): Condition {
  const matches = compilePaths(patterns);
  return {
    holds: ({ path }) => matches(path),
    differs: ({ path }) => `the path ${path} is not ${patterns.join(' or ')}`,
  };
}

/** Compiles path globs into one; exact paths, of which a policy may list many, become one look into a set. */
export function compilePaths(patterns: readonly string[]): Glob {
  const exact = new Set(patterns.filter((pattern) => !pattern.includes('*')));
  if (exact.size < 3) return anyGlob(patterns.map(compilePathGlob));
  const globs = anyGlob(patterns.filter((pattern) => !exact.has(pattern)).map(compilePathGlob));
  return (path) => exact.has(path) || globs(path);
}

function hostCondition(patterns: readonly string[]): Condition {
  const matches = anyGlob(patterns.map(compileTextGlob));
  return {
    holds: ({ host }) => matches(host),
    differs: ({ host }) => `the host ${host} is not ${patterns.join(' or ')}`,
  };
}

function queryCondition(name: string, patterns: readonly string[], effect: RuleEffect): Condition {
  const matches = anyGlob(patterns.map(compileTextGlob));
  return {
    holds: ({ query }) => {
      if (query.size === 0) return false;
      const values = valuesOf(query, name);
      return effect === 'grants' ? values.length > 0 && values.every(matches) : values.some(matches);
    },
    differs: ({ query }) => {
      const values = valuesOf(query, name);
      const seen =
        values.length === 0 ? 'is absent' : `is ${values.map((value) => `"${value}"`).join(' and ')}`;
      return `the query parameter ${name} ${seen}, not ${patterns.join(' or ')}`;
    },
  };
}

function headerCondition(name: string, patterns: readonly string[]): Condition {
  const key = name.toLowerCase();
  const matches = anyGlob(patterns.map(compileTextGlob));
  return {
    holds: (request) => {
      const value = request.header(key);
      return value !== undefined && matches(value);
    },
    differs: (request) =>
      `the header ${name} ${request.header(key) === undefined ? 'is absent' : 'differs'}, not ${patterns.join(' or ')}`,
  };
}

function networkCondition(networks: readonly string[]): Condition {
  const inside = networkList(networks);
  return {
    holds: ({ clientAddress }) => inside.includes(clientAddress),
    differs: ({ clientAddress }) => `the client ${clientAddress} is not in ${networks.join(' or ')}`,
  };
}

function bodyCondition(match: RequestMatch, when: BodyPresence | undefined): RequestRule['body'] {
  const tests: ((fields: BodyFields) => boolean)[] = [];
  for (const [name, patterns] of Object.entries(match.form ?? {})) {
    const matches = anyGlob(patterns.map(compileTextGlob));
    tests.push((fields) => fields.formValues(name).some(matches));
  }
  for (const [name, patterns] of Object.entries(match.json ?? {})) {
    const matches = anyGlob(patterns.map(compileTextGlob));
    const path = name.split('.');
    tests.push((fields) => {
      const value = fields.json(path);
      return value !== undefined && matches(value);
    });
  }
  for (const name of when?.form ?? [])
    tests.push((fields) => fields.formValues(name).some((value) => value !== ''));
  for (const name of when?.json ?? []) {
    const path = name.split('.');
    tests.push((fields) => (fields.json(path) ?? '') !== '');
  }
  return tests.length === 0 ? undefined : (fields) => tests.every((test) => test(fields));
}
