import { parseArgs } from 'node:util';

import { callControl } from './control-client.ts';

/**
 * `zasov reload`: makes a running gateway read its policies again, as SIGHUP does, and shows every mistake.
 *
 * @returns 0 when the new set is in force, 1 when it was refused.
 */
export async function runReload(argv: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...argv],
    options: { data: { type: 'string', default: 'var' }, json: { type: 'boolean', default: false } },
  });
  const { value } = await callControl(values.data, 'POST', '/v1/reload');
  const result = value as { ok: boolean; mistakes: string[] };
  if (values.json) process.stdout.write(`${JSON.stringify(result)}\n`);
  else if (result.ok) process.stdout.write('the policies are in force\n');
  else process.stderr.write(`${result.mistakes.join('\n')}\nrefused; the old policies stay in force\n`);
  return result.ok ? 0 : 1;
}
