import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from '../support/property-based.ts';
import { test } from 'tap';
import { findRoute } from '../../gateway/policy/find-route.ts';
import { loadPolicy, type PolicyReading } from '../../gateway/policy/load-policy.ts';
import { formatMistake } from '../../gateway/policy/mistake.ts';
import { requestOf } from '../support/policy-fixture.ts';

const GOOD = readFileSync('policies/demo.yaml', 'utf8').replaceAll(/^ *#.*\n/gm, '');

/** Whether a reading is a whole policy that works, or nothing but places of mistakes. */
function isWholeOrRefused(reading: PolicyReading, file: string, text: string): boolean {
  if ('mistakes' in reading) {
    const lines = text.split('\n').length;
    return (
      reading.mistakes.length > 0 &&
      reading.mistakes.every(
        (mistake) =>
          mistake.file === file &&
          mistake.line >= 1 &&
          mistake.line <= lines + 1 &&
          mistake.column >= 1 &&
          !/invalid|expected|undefined|\[object|NaN|"says"/i.test(mistake.message.replace(/YAML: .*/s, '')) &&
          !formatMistake(mistake).includes('\n'),
      )
    );
  }
  const { policy } = reading;
  findRoute(policy.routes, requestOf('GET', '/leads?x=1'));
  for (const { matches, success } of policy.sessions.begin) {
    matches.head(requestOf('POST', '/login'));
    success.head({ status: 302, values: () => ['/x'], setsCookies: [] });
  }
  const numbers = [
    policy.sessions.graceMs,
    policy.sessions.idleMs,
    policy.protection.headerBytes,
    ...policy.routes.map((r) => r.bodyLimitBytes),
  ];
  return (
    policy.regions.length > 0 &&
    policy.routes.length > 0 &&
    numbers.every((number) => Number.isSafeInteger(number))
  );
}

const position = fc.nat(GOOD.length - 1);
const snippet = fc.oneof(
  fc.constantFrom(
    '{',
    '}',
    '[',
    ']',
    ':',
    '\n',
    ' ',
    '-',
    '*',
    '&a',
    '!!x',
    '"',
    "'",
    '#',
    '|',
    '>',
    '?',
    '\t',
    '\0',
    '---\n',
    '__proto__: 1\n',
    '<<: x',
    '~',
    'null',
    '{}',
    '[]',
    '9',
    '-1',
    '1e9',
    'true',
    '5s',
    '/**',
    '%',
    '\uFEFF',
    '\u2028',
    'é',
  ),
  fc.string({ maxLength: 5 }),
);

const mutation = fc.oneof(
  fc.tuple(position, snippet).map(([at, text]) => GOOD.slice(0, at) + text + GOOD.slice(at)),
  fc.tuple(position, fc.nat(30)).map(([at, length]) => GOOD.slice(0, at) + GOOD.slice(at + length)),
  fc.tuple(position, position).map(([a, b]) => GOOD.slice(0, Math.min(a, b)) + GOOD.slice(Math.max(a, b))),
  fc.tuple(position, snippet).map(([at, text]) => GOOD.slice(0, at) + text + GOOD.slice(at + text.length)),
  fc.nat(60).chain((line) => snippet.map((text) => GOOD.split('\n').with(line, text).join('\n'))),
  fc.tuple(fc.nat(60), fc.nat(60)).map(([a, b]) => {
    const lines = GOOD.split('\n');
    return lines
      .with(a, lines[b] ?? '')
      .with(b, lines[a] ?? '')
      .join('\n');
  }),
  fc.tuple(fc.nat(300), snippet).map(([index, text]) => {
    let count = 0;
    return GOOD.replaceAll(/(?<=[:[,] ?)[\w./*"-]+/g, (value) => (count++ === index ? text : value));
  }),
);

await test('no change to a good policy makes the loader crash, or yields half a policy', async (t) => {
  const file = join(t.testdir(), 'p.yaml');
  const outcomes = { good: 0, refused: 0 };
  fc.assert(
    fc.property(mutation, (text) => {
      writeFileSync(file, text);
      const reading = loadPolicy(file, {});
      outcomes['mistakes' in reading ? 'refused' : 'good']++;
      return isWholeOrRefused(reading, file, text);
    }),
    { numRuns: 200 },
  );
  t.ok(outcomes.good > 5 && outcomes.refused > 50, `both kinds were seen: ${JSON.stringify(outcomes)}`);
});
