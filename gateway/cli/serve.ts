import { parseArgs } from 'node:util';

import { processEnvironment } from '../config/environment.ts';
import { startGateway } from '../gateway.ts';
import { untilStopped } from './until-stopped.ts';
import { VERSION } from './version.ts';

/**
 * `zasov serve`: runs the gateway until SIGTERM or SIGINT; SIGHUP reads the policies again. Writes one JSON line to
 * standard output when it is ready.
 *
 * @returns 0 after an orderly stop, 1 when a restore took the place of its state. @throws when it cannot start.
 */
export async function runServe(argv: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...argv],
    options: { policies: { type: 'string', default: 'policies' }, data: { type: 'string', default: 'var' } },
  });
  const environment = processEnvironment();
  const gateway = await startGateway({ ...values, environment, version: VERSION });
  const { listeners, trust } = gateway;
  process.stdout.write(`${JSON.stringify({ event: 'ready', listeners, ca: trust?.caFile })}\n`);
  const isSuperseded = await Promise.race([
    untilStopped(() => void gateway.reload()).then(() => false),
    gateway.superseded.then(() => true),
  ]);
  // Whoever started before a restore lets nobody finish on what may have been revoked.
  await gateway.stop(isSuperseded ? 0 : undefined);
  return isSuperseded ? 1 : 0;
}
