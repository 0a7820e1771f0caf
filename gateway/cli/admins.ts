import { parseArgs } from 'node:util';

import { enrol } from './admins-enrol.ts';
import { UsageError } from './usage-error.ts';

const OPTIONS = {
  data: { type: 'string', default: 'var' },
  out: { type: 'string', default: '.' },
  csr: { type: 'string' },
  json: { type: 'boolean', default: false },
} as const;

const USAGE = `zasov admins enrol NAME [--data DIR] [--out DIR] [--csr FILE] [--json]`;

/**
 * `zasov admins …`: the two administrators and what both must agree to.
 *
 * @returns the exit code. @throws UsageError.
 */
export async function runAdmins(argv: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: true });
  const [action, operand, ...rest] = positionals;
  if (rest.length > 0 || action !== 'enrol' || operand === undefined) throw new UsageError(USAGE);
  return enrol({ ...values, name: operand });
}
