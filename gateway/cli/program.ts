import { runAdmins } from './admins.ts';
import { runAudit } from './audit.ts';
import { runCheck } from './check.ts';
import { runDemo } from './demo-command.ts';
import { runExplain } from './explain.ts';
import { runKeys } from './keys.ts';
import { runRegions } from './regions.ts';
import { runReload } from './reload.ts';
import { runTest } from './policy-test.ts';
import { runSchema } from './schema.ts';
import { runServe } from './serve.ts';
import { runSessions } from './sessions.ts';
import { runSsh } from './ssh.ts';
import { runStatus } from './status.ts';
import { UsageError } from './usage-error.ts';
import { runWorker } from './worker.ts';

interface Command {
  /** Absent where people have no use for it. */
  readonly summary?: string;
  run(argv: readonly string[]): Promise<number>;
}

/** Commands by name; a name that is not here is bad usage. */
const COMMANDS: Record<string, Command> = {
  serve: { summary: '[--policies DIR|FILE] [--data DIR]      run the gateway', run: runServe },
  demo: { summary: '[--port 8443] [--json]                  three CRM nodes and the gateway', run: runDemo },
  check: { summary: '[--policies DIR|FILE] [--json]          every mistake in the policies', run: runCheck },
  explain: {
    summary: 'METHOD URL [--as …] [--header …]        which route decides, and why',
    run: runExplain,
  },
  test: { summary: '[DIR] [--json]                          policy tests: *.test.yaml', run: runTest },
  keys: {
    summary: 'issue | list | rotate | revoke | import  API keys of a running gateway',
    run: runKeys,
  },
  sessions: {
    summary: 'list | revoke                           sessions of a running gateway',
    run: runSessions,
  },
  regions: {
    summary: 'list | drain | undrain | seal | unseal  regions of a running gateway',
    run: runRegions,
  },
  admins: {
    summary: 'list | enrol | propose | approve | …      the two administrators',
    run: runAdmins,
  },
  audit: { summary: 'verify | tail [--follow] | key            the audit trail', run: runAudit },
  ssh: {
    summary: 'HOST[:PORT] --cert FILE --key FILE [--url …] tunnel to a server, for OpenSSH',
    run: runSsh,
  },
  status: { summary: '[--data DIR] [--json]                   what a running gateway says', run: runStatus },
  reload: { summary: '[--data DIR]                            read the policies again', run: runReload },
  schema: {
    summary: '[--write FILE]                          the JSON Schema of the policies',
    run: runSchema,
  },
  worker: { run: runWorker },
};

/**
 * Runs one command line.
 *
 * @returns the exit code: 0 done, 1 refused or failed, 2 bad usage. Never throws.
 */
export async function runProgram(argv: readonly string[]): Promise<number> {
  const [name = '', ...rest] = argv;
  if (name === 'help' || name === '--help' || name === '-h') {
    process.stdout.write(`${usage()}\n`);
    return 0;
  }
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (command === undefined) {
    process.stderr.write(`zasov: ${name === '' ? 'no command given' : `no command "${name}"`}\n${usage()}\n`);
    return 2;
  }
  try {
    return await command.run(rest);
  } catch (error) {
    return explainFailure(error);
  }
}

function explainFailure(error: unknown): number {
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`zasov: ${message}\n`);
  const isUsage =
    error instanceof UsageError ||
    (error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS'));
  return isUsage ? 2 : 1;
}

function usage(): string {
  const lines = Object.entries(COMMANDS).flatMap(([name, { summary }]) =>
    summary === undefined ? [] : [`  zasov ${name.padEnd(9)} ${summary}`],
  );
  return ['usage:', ...lines].join('\n');
}
