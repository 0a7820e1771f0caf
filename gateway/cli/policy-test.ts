import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { LineCounter, parseDocument } from 'yaml';
import { z } from 'zod';

import { processEnvironment } from '../config/environment.ts';
import { type LoadedPolicy, loadPolicy } from '../policy/load-policy.ts';
import { formatMistake } from '../policy/mistake.ts';
import { readAsker, readRequest } from './asked-request.ts';
import { decideOffline } from './offline-decision.ts';
import { UsageError } from './usage-error.ts';

/** One case of a `*.test.yaml` file: a request and what the policies must say to it. */
const caseSchema = z.strictObject({
  name: z.string().min(1),
  /** `METHOD URL`. */
  request: z.string(),
  /** `session:SUBJECT@ACCOUNT`, `key:ID`, `admin:NAME`; a stranger when left out. */
  as: z.string().optional(),
  headers: z.record(z.string(), z.string()).optional(),
  client: z.string().optional(),
  /** Any of the fields that `zasov explain --json` answers; the others may be anything. */
  expect: z
    .strictObject({
      route: z.string().nullable(),
      access: z.string().nullable(),
      allowed: z.boolean(),
      code: z.string().nullable(),
      region: z.string().nullable(),
      node: z.string().nullable(),
      limit: z.string().nullable(),
    })
    .partial(),
});

type PolicyCase = z.output<typeof caseSchema>;

interface Outcome {
  readonly name: string;
  /** Where the case stands: `file:line`. */
  readonly place: string;
  /** What is wrong; empty when the case holds. */
  readonly failures: readonly string[];
}

/**
 * `zasov test [DIR]`: runs every `*.test.yaml` of a directory against its policies: a request goes in, the expected
 * decision must come out. On the policies alone, as `zasov explain`; nothing is started.
 *
 * @returns 0 when all cases hold, 1 when one fails, a file cannot be read, or there is no case at all.
 */
export async function runTest(argv: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: { policies: { type: 'string' }, json: { type: 'boolean', default: false } },
  });
  const [directory = 'policies', ...more] = positionals;
  if (more.length > 0) throw new UsageError('zasov test takes one directory');
  const loaded = loadPolicy(values.policies ?? directory, processEnvironment());
  if ('mistakes' in loaded) {
    process.stderr.write(`${loaded.mistakes.map(formatMistake).join('\n')}\n`);
    return 1;
  }
  const outcomes = testFiles(directory).flatMap((file) => runFile(loaded, file));
  const failed = outcomes.filter(({ failures }) => failures.length > 0).length;
  process.stdout.write(values.json ? `${JSON.stringify(outcomes)}\n` : describe(outcomes, failed));
  if (outcomes.length === 0) process.stderr.write(`zasov: no test in ${directory} (*.test.yaml)\n`);
  return failed > 0 || outcomes.length === 0 ? 1 : 0;
}

function testFiles(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path)
    .filter((name) => /\.test\.ya?ml$/.test(name))
    .toSorted()
    .map((name) => join(path, name));
}

function runFile(loaded: LoadedPolicy, file: string): Outcome[] {
  const lines = new LineCounter();
  const document = parseDocument(readFileSync(file, 'utf8'), { lineCounter: lines });
  const [error] = document.errors;
  if (error !== undefined) {
    return [{ name: file, place: `${file}:${lines.linePos(error.pos[0]).line}`, failures: [error.message] }];
  }
  const cases: unknown = document.toJS({ maxAliasCount: 0 });
  if (!Array.isArray(cases))
    return [{ name: file, place: `${file}:1`, failures: ['a test file is a list of cases'] }];
  return cases.map((each: unknown, index) => {
    const node = document.getIn([index], true) as { range?: [number, number, number] } | undefined;
    const place = `${file}:${lines.linePos(node?.range?.[0] ?? 0).line}`;
    const parsed = caseSchema.safeParse(each);
    if (parsed.success) return { name: parsed.data.name, place, failures: runCase(loaded, parsed.data) };
    return { name: `case ${index + 1}`, place, failures: parsed.error.issues.map(describeIssue) };
  });
}

function describeIssue({ path, message }: z.core.$ZodIssue): string {
  return path.length === 0 ? message : `${path.join('.')}: ${message}`;
}

function runCase(loaded: LoadedPolicy, one: PolicyCase): string[] {
  try {
    const headers = Object.entries(one.headers ?? {}).map(([name, value]) => `${name}: ${value}`);
    const request = readRequest(one.request.split(' '), headers, one.client ?? '127.0.0.1');
    const decision = decideOffline(loaded, request, one.as === undefined ? undefined : readAsker(one.as));
    return Object.entries(one.expect).flatMap(([field, expected]) => {
      const actual = decision[field as keyof typeof one.expect];
      return actual === expected ? [] : [`${field} is ${actual}, expected ${expected} (${decision.reason})`];
    });
  } catch (error) {
    if (error instanceof UsageError) return [error.message];
    throw error;
  }
}

function describe(outcomes: readonly Outcome[], failed: number): string {
  const lines = outcomes.flatMap(({ name, place, failures }) =>
    failures.length === 0
      ? [`ok      ${name}`]
      : [`failed  ${name} (${place})`, ...failures.map((each) => `          ${each}`)],
  );
  return `${[...lines, '', `${outcomes.length - failed} passed, ${failed} failed`].join('\n')}\n`;
}
