import { didYouMean } from '../policy/did-you-mean.ts';
import { UsageError } from './usage-error.ts';
import { VERSION } from './version.ts';

interface Command {
  /** What it is for, in a line; absent where people have no use for it. */
  readonly summary?: string;
  /** How it is called, line by line; later lines are indented to stand behind `usage: `. */
  readonly usage: string | (() => Promise<string>);
  run(argv: readonly string[]): Promise<number>;
}

/**
 * Commands by name; a name that is not here is bad usage. Each is loaded when it is asked for: most are a short question to
 * a running gateway, and the whole gateway takes most of a second to load.
 */
const COMMANDS: Record<string, Command> = {
  serve: {
    summary: 'run the gateway; SIGHUP reads the policies again, SIGTERM drains',
    usage: 'zasov serve [--policies DIR|FILE] [--data DIR]',
    run: async (argv) => await (await import('./serve.ts')).runServe(argv),
  },
  demo: {
    summary: 'three nodes of a small CRM, and the gateway in front of them',
    usage: 'zasov demo [--port 8443] [--policies DIR|FILE] [--data DIR] [--json]',
    run: async (argv) => await (await import('./demo-command.ts')).runDemo(argv),
  },
  check: {
    summary: 'every mistake in the policies, with its place',
    usage: 'zasov check [--policies DIR|FILE] [--json]',
    run: async (argv) => await (await import('./check.ts')).runCheck(argv),
  },
  explain: {
    summary: 'which route decides over a request, and why',
    usage: `zasov explain METHOD URL [--as session:SUBJECT@ACCOUNT|key:ID|admin:NAME] [--header 'K: V'] …
                     [--client ADDRESS] [--policies DIR|FILE] [--data DIR] [--json]`,
    run: async (argv) => await (await import('./explain.ts')).runExplain(argv),
  },
  test: {
    summary: 'policy tests: *.test.yaml, a request in, the expected decision out',
    usage: 'zasov test [DIR] [--policies DIR|FILE] [--json]',
    run: async (argv) => await (await import('./policy-test.ts')).runTest(argv),
  },
  keys: {
    summary: 'issue, list, rotate, revoke, import: API keys of a running gateway',
    usage: async () => (await import('./keys.ts')).KEYS_USAGE,
    run: async (argv) => await (await import('./keys.ts')).runKeys(argv),
  },
  sessions: {
    summary: 'list, revoke: who is signed in to a running gateway',
    usage: async () => (await import('./sessions.ts')).SESSIONS_USAGE,
    run: async (argv) => await (await import('./sessions.ts')).runSessions(argv),
  },
  regions: {
    summary: 'list, drain, undrain, seal, unseal: regions of a running gateway',
    usage: async () => (await import('./regions.ts')).REGIONS_USAGE,
    run: async (argv) => await (await import('./regions.ts')).runRegions(argv),
  },
  admins: {
    summary: 'list, enrol, propose, approve, reject, renew, revoke: the two administrators',
    usage: async () => (await import('./admins.ts')).ADMINS_USAGE,
    run: async (argv) => await (await import('./admins.ts')).runAdmins(argv),
  },
  audit: {
    summary: 'verify, tail, key: the audit trail',
    usage: async () => (await import('./audit.ts')).AUDIT_USAGE,
    run: async (argv) => await (await import('./audit.ts')).runAudit(argv),
  },
  restore: {
    summary: 'bring a gateway back from an archive, on an empty machine',
    usage: async () => (await import('./restore.ts')).RESTORE_USAGE,
    run: async (argv) => await (await import('./restore.ts')).runRestoreCommand(argv),
  },
  backup: {
    summary: 'now, list, verify, drill, signer: encrypted copies on external storage',
    usage: async () => (await import('./backup.ts')).BACKUP_USAGE,
    run: async (argv) => await (await import('./backup.ts')).runBackup(argv),
  },
  ssh: {
    summary: 'tunnel to a server, for OpenSSH',
    usage: async () => (await import('./ssh.ts')).SSH_USAGE,
    run: async (argv) => await (await import('./ssh.ts')).runSsh(argv),
  },
  status: {
    summary: 'what a running gateway says of itself',
    usage: 'zasov status [--data DIR] [--json]',
    run: async (argv) => await (await import('./status.ts')).runStatus(argv),
  },
  reload: {
    summary: 'make a running gateway read its policies again',
    usage: 'zasov reload [--data DIR] [--json]',
    run: async (argv) => await (await import('./reload.ts')).runReload(argv),
  },
  schema: {
    summary: 'the JSON Schema of the policies',
    usage: 'zasov schema [--write FILE]',
    run: async (argv) => await (await import('./schema.ts')).runSchema(argv),
  },
  worker: { usage: 'zasov worker', run: async () => await (await import('./worker.ts')).runWorker() },
  'backup-check': {
    usage: 'zasov backup-check DIRECTORY',
    run: async (argv) => await (await import('./backup-check.ts')).runBackupCheck(argv),
  },
  'backup-worker': {
    usage: 'zasov backup-worker',
    run: async () => await (await import('./backup-worker.ts')).runBackupWorker(),
  },
};

/**
 * Runs one command line.
 *
 * @returns the exit code: 0 done, 1 refused or failed, 2 bad usage. Never throws.
 */
export async function runProgram(argv: readonly string[]): Promise<number> {
  const [name = '', ...rest] = argv;
  if (name === 'help' || name === '--help' || name === '-h') return await showHelp(rest[0]);
  if (name === 'version' || name === '--version') return print(VERSION);
  const command = find(name);
  if (command === undefined) return refuseName(name);
  if (asksHelp(rest)) return print(await helpOf(command));
  try {
    return await command.run(rest);
  } catch (error) {
    return await explainFailure(error, name, command);
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

async function showHelp(name: string | undefined): Promise<number> {
  if (name === undefined) return print(overview());
  const command = find(name);
  return command === undefined ? refuseName(name) : print(await helpOf(command));
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

async function explainFailure(error: unknown, name: string, command: Command): Promise<number> {
  const message = error instanceof Error ? error.message : String(error);
  const isParsing =
    error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS');
  if (!(error instanceof UsageError) && !isParsing) {
    process.stderr.write(`zasov: ${message}\n`);
    return 1;
  }
  // A message that is the usage itself needs no pointer to it.
  const isUsage = message === (await usageOf(command));
  // Node goes on about operands that begin with a dash, which nothing here has.
  const sentence = message.split('. To specify')[0] ?? message;
  process.stderr.write(isUsage ? `usage: ${message}\n` : `zasov: ${sentence}; see zasov ${name} --help\n`);
  return 2;
}

async function helpOf(command: Command): Promise<string> {
  return `usage: ${await usageOf(command)}\n\n${command.summary ?? 'not for people'}`;
}

async function usageOf({ usage }: Command): Promise<string> {
  return typeof usage === 'string' ? usage : await usage();
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
