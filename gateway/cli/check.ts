import { parseArgs } from 'node:util';

import { processEnvironment } from '../config/environment.ts';
import { loadPolicy } from '../policy/load-policy.ts';
import { formatMistake } from '../policy/mistake.ts';
import { notInForce } from '../policy/not-in-force.ts';
import type { Policy } from '../policy/policy.ts';

/** What a set without `secrets` comes to. */
const KEY_WITH_DATA =
  'the master key will lie in the data directory: who takes the disk has both (secrets.master_key)';

/**
 * `zasov check [--policies PATH] [--json]`: shows every mistake in the policies as `file:line:column: message` on
 * standard output. Nothing is changed and nothing is started.
 *
 * @returns 0 when the policies may be put into force, 1 when not.
 */
export async function runCheck(argv: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...argv],
    options: { policies: { type: 'string', default: 'policies' }, json: { type: 'boolean', default: false } },
  });
  const reading = loadPolicy(values.policies, processEnvironment());
  const mistakes = 'mistakes' in reading ? reading.mistakes.map(formatMistake) : [];
  const { refused, waiting } =
    'policy' in reading ? notInForce(reading.settings) : { refused: [], waiting: [] };
  const warnings = 'policy' in reading && reading.policy.masterKey === undefined ? [KEY_WITH_DATA] : [];
  const isGood = mistakes.length === 0 && refused.length === 0;
  if (values.json) {
    const found = 'mistakes' in reading ? reading.mistakes : [];
    process.stdout.write(`${JSON.stringify({ ok: isGood, mistakes: found, refused, waiting, warnings })}\n`);
    return isGood ? 0 : 1;
  }
  const lines = [
    ...mistakes,
    ...refused.map((setting) => `${values.policies}: not possible in this version: ${setting}`),
  ];
  const closing =
    'policy' in reading && isGood
      ? [goodVerdict(values.policies, reading.policy), ...notes(waiting, warnings)]
      : ['', counted(lines.length, 'mistake')];
  process.stdout.write(`${[...lines, ...closing].join('\n')}\n`);
  return isGood ? 0 : 1;
}

function notes(waiting: readonly string[], warnings: readonly string[]): string[] {
  return [
    ...waiting.map((setting) => `  not in force in this version: ${setting}`),
    ...warnings.map((warning) => `  note: ${warning}`),
  ];
}

function goodVerdict(path: string, { routes, regions }: Policy): string {
  return `${path}: good (${counted(routes.length, 'route')}, ${counted(regions.length, 'region')})`;
}

function counted(count: number, thing: string): string {
  return `${count} ${thing}${count === 1 ? '' : 's'}`;
}
