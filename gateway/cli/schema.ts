import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

import { policyJsonSchema } from '../policy/json-schema.ts';

/**
 * `zasov schema [--write FILE]`: prints the JSON Schema of the policy files, or writes it to a file.
 *
 * @returns 0.
 */
export async function runSchema(argv: readonly string[]): Promise<number> {
  const { values } = parseArgs({ args: [...argv], options: { write: { type: 'string' } } });
  if (values.write === undefined) process.stdout.write(policyJsonSchema());
  else writeFileSync(values.write, policyJsonSchema());
  return 0;
}
