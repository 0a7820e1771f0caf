import { didYouMean } from '../policy/did-you-mean.ts';
import { ADMINS_USAGE, runAdmins } from './admins.ts';
import { AUDIT_USAGE, runAudit } from './audit.ts';
import { BACKUP_USAGE, runBackup } from './backup.ts';
import { runBackupCheck } from './backup-check.ts';
import { runBackupWorker } from './backup-worker.ts';
import { runCheck } from './check.ts';
import { runDemo } from './demo-command.ts';
import { runExplain } from './explain.ts';
import { KEYS_USAGE, runKeys } from './keys.ts';
import { REGIONS_USAGE, runRegions } from './regions.ts';
import { runReload } from './reload.ts';
import { runTest } from './policy-test.ts';
import { RESTORE_USAGE, runRestoreCommand } from './restore.ts';
import { runSchema } from './schema.ts';
import { runServe } from './serve.ts';
import { SESSIONS_USAGE, runSessions } from './sessions.ts';
import { SSH_USAGE, runSsh } from './ssh.ts';
import { runStatus } from './status.ts';
import { UsageError } from './usage-error.ts';
import { VERSION } from './version.ts';
import { runWorker } from './worker.ts';

interface Command {
  /** What it is for, in a line; absent where people have no use for it. */
  readonly summary?: string;
  /** How it is called, line by line; later lines are indented to stand behind `usage: `. */
  readonly usage: string;
  run(argv: readonly string[]): Promise<number>;
}

/** Commands by name; a name that is not here is bad usage. */
const COMMANDS: Record<string, Command> = {
  serve: {
    summary: 'run the gateway; SIGHUP reads the policies again, SIGTERM drains',
    usage: 'zasov serve [--policies DIR|FILE] [--data DIR]',
    run: runServe,
  },
  demo: {
    summary: 'three nodes of a small CRM, and the gateway in front of them',
    usage: 'zasov demo [--port 8443] [--policies DIR|FILE] [--data DIR] [--json]',
    run: runDemo,
  },
  check: {
    summary: 'every mistake in the policies, with its place',
    usage: 'zasov check [--policies DIR|FILE] [--json]',
    run: runCheck,
  },
  explain: {
    summary: 'which route decides over a request, and why',
    usage: `zasov explain METHOD URL [--as session:SUBJECT@ACCOUNT|key:ID|admin:NAME] [--header 'K: V'] …
                     [--client ADDRESS] [--policies DIR|FILE] [--data DIR] [--json]`,
    run: runExplain,
  },
  test: {
    summary: 'policy tests: *.test.yaml, a request in, the expected decision out',
    usage: 'zasov test [DIR] [--policies DIR|FILE] [--json]',
    run: runTest,
  },
  keys: {
    summary: 'issue, list, rotate, revoke, import: API keys of a running gateway',
    usage: KEYS_USAGE,
    run: runKeys,
  },
  sessions: {
    summary: 'list, revoke: who is signed in to a running gateway',
    usage: SESSIONS_USAGE,
    run: runSessions,
  },
  regions: {
    summary: 'list, drain, undrain, seal, unseal: regions of a running gateway',
    usage: REGIONS_USAGE,
    run: runRegions,
  },
  admins: {
    summary: 'list, enrol, propose, approve, reject, renew, revoke: the two administrators',
    usage: ADMINS_USAGE,
    run: runAdmins,
  },
  audit: { summary: 'verify, tail, key: the audit trail', usage: AUDIT_USAGE, run: runAudit },
  restore: {
    summary: 'bring a gateway back from an archive, on an empty machine',
    usage: RESTORE_USAGE,
    run: runRestoreCommand,
  },
  backup: {
    summary: 'now, list, verify, drill, signer: encrypted copies on external storage',
    usage: BACKUP_USAGE,
    run: runBackup,
  },
  ssh: { summary: 'tunnel to a server, for OpenSSH', usage: SSH_USAGE, run: runSsh },
  status: {
    summary: 'what a running gateway says of itself',
    usage: 'zasov status [--data DIR] [--json]',
    run: runStatus,
  },
  reload: {
    summary: 'make a running gateway read its policies again',
    usage: 'zasov reload [--data DIR] [--json]',
    run: runReload,
  },
  schema: {
    summary: 'the JSON Schema of the policies',
    usage: 'zasov schema [--write FILE]',
    run: runSchema,
  },
  worker: { usage: 'zasov worker', run: runWorker },
  'backup-check': { usage: 'zasov backup-check DIRECTORY', run: runBackupCheck },
  'backup-worker': { usage: 'zasov backup-worker', run: runBackupWorker },
};

/**
 * Runs one command line.
 *
 * @returns the exit code: 0 done, 1 refused or failed, 2 bad usage. Never throws.
 */
export async function runProgram(argv: readonly string[]): Promise<number> {
  const [name = '', ...rest] = argv;
  if (name === 'help' || name === '--help' || name === '-h') return showHelp(rest[0]);
  if (name === 'version' || name === '--version') return print(VERSION);
  const command = find(name);
  if (command === undefined) return refuseName(name);
  if (asksHelp(rest)) return print(helpOf(command));
  try {
    return await command.run(rest);
  } catch (error) {
    return explainFailure(error, name);
  }
}

function find(name: string): Command | undefined {
  return Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
}

/** `--help` anywhere, unless it stands behind `--` and so is an operand. */
function asksHelp(words: readonly string[]): boolean {
  const end = words.indexOf('--');
  return (end === -1 ? words : words.slice(0, end)).some((word) => word === '--help' || word === '-h');
}

function showHelp(name: string | undefined): number {
  if (name === undefined) return print(overview());
  const command = find(name);
  return command === undefined ? refuseName(name) : print(helpOf(command));
}

function refuseName(name: string): number {
  const near = didYouMean(name, namesForPeople());
  const hint = near === undefined ? '' : `; did you mean "${near}"?`;
  process.stderr.write(
    name === ''
      ? `zasov: no command given\n${overview()}\n`
      : `zasov: no command ${JSON.stringify(name)}${hint}\n${overview()}\n`,
  );
  return 2;
}

function namesForPeople(): string[] {
  return Object.entries(COMMANDS).flatMap(([name, { summary }]) => (summary === undefined ? [] : [name]));
}

function explainFailure(error: unknown, name: string): number {
  const message = error instanceof Error ? error.message : String(error);
  const isParsing =
    error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS');
  if (!(error instanceof UsageError) && !isParsing) {
    process.stderr.write(`zasov: ${message}\n`);
    return 1;
  }
  // A message that is the usage itself needs no pointer to it.
  const isUsage = message === find(name)?.usage;
  // Node goes on about operands that begin with a dash, which nothing here has.
  const sentence = message.split('. To specify')[0] ?? message;
  process.stderr.write(isUsage ? `usage: ${message}\n` : `zasov: ${sentence}; see zasov ${name} --help\n`);
  return 2;
}

function helpOf({ summary, usage }: Command): string {
  return `usage: ${usage}\n\n${summary ?? 'not for people'}`;
}

function overview(): string {
  const lines = Object.entries(COMMANDS).flatMap(([name, { summary }]) =>
    summary === undefined ? [] : [`  zasov ${name.padEnd(8)}  ${summary}`],
  );
  return [
    'usage:',
    ...lines,
    '',
    '"zasov COMMAND --help" shows how each is called. Where --policies or --data is left out, policies/ and var/ are',
    'meant. Exit codes: 0 done, 1 refused or failed, 2 bad usage.',
  ].join('\n');
}

function print(text: string): number {
  process.stdout.write(`${text}\n`);
  return 0;
}
