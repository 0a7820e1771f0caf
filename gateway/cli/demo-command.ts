import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { processEnvironment } from '../config/environment.ts';
import { startDemo } from '../demo/demo.ts';
import { demoAdministrators } from './demo-admins.ts';
import { issueDemoKeys } from './demo-keys.ts';
import { readyLine, welcome } from './demo-welcome.ts';
import { untilStopped } from './until-stopped.ts';
import { UsageError } from './usage-error.ts';
import { VERSION } from './version.ts';

const LOG_FILE = 'demo.log';

/**
 * `zasov demo`: three regional CRM nodes and the gateway in front of them, until SIGTERM or SIGINT.
 *
 * @returns 0 after an orderly stop. @throws UsageError, or when it cannot start.
 */
export async function runDemo(argv: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      port: { type: 'string' },
      policies: { type: 'string', default: 'policies' },
      data: { type: 'string', default: 'var' },
      json: { type: 'boolean', default: false },
    },
  });
  const administrators = await demoAdministrators(values.policies, values.data);
  const demo = await startDemo({
    firstAdministrators: administrators.map(({ name, certificate }) => ({
      name,
      fingerprint: certificate.replace('sha256:', ''),
    })),
    policies: values.policies,
    data: values.data,
    port: readPort(values.port),
    environment: processEnvironment(),
    // A person reads the terminal; a program reads the log.
    logFile: values.json ? undefined : LOG_FILE,
    version: VERSION,
  });
  const keys = await issueDemoKeys(demo, values.data);
  // Before anything is printed: whoever reads the last line may stop it in the same moment.
  const stopped = untilStopped(() => void demo.gateway.reload());
  const facts = { demo, keys, administrators, data: values.data, log: join(values.data, LOG_FILE) };
  process.stdout.write(`${values.json ? readyLine(facts) : welcome(facts)}\n`);
  await stopped;
  await demo.stop();
  return 0;
}

function readPort(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const port = Number(text);
  if (!/^\d{1,5}$/.test(text) || port > 65_535)
    throw new UsageError(`--port takes 0 to 65535, not "${text}"`);
  return port;
}
