import { z } from 'zod';

import { policySchema } from './policy-schema.ts';

/**
 * The JSON Schema (draft-07, which the YAML language servers of editors read) of one policy file, as formatted text.
 * No top-level key is required in it, because a set of policies may be spread over several files.
 */
export function policyJsonSchema(): string {
  const {
    $schema,
    required: _,
    ...schema
  } = z.toJSONSchema(policySchema, { io: 'input', target: 'draft-7' });
  const whole = { $schema, title: 'Zasov policies', ...schema };
  return `${JSON.stringify(whole, null, 2)}\n`;
}
