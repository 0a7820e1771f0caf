import { parseArgs } from 'node:util';

import { callControl } from './control-client.ts';
import { table } from './table.ts';
import { UsageError } from './usage-error.ts';

const SESSION_ID = /^[\w-]{22}$/;
/** The word after one of these is its value, even if it looks like an id: people have names of 22 letters. */
const VALUE_FLAGS = new Set(['--data', '--account', '--subject']);

/** What `zasov sessions --help` shows. */
export const SESSIONS_USAGE = `zasov sessions list [--account A] [--subject S]
       zasov sessions revoke ID | revoke --account A --subject S
       each with [--data DIR] [--json]`;

const OPTIONS = {
  data: { type: 'string', default: 'var' },
  account: { type: 'string' },
  subject: { type: 'string' },
  json: { type: 'boolean', default: false },
} as const;

/**
 * `zasov sessions list|revoke`: shows or ends live sessions of a running gateway.
 *
 * @returns the exit code. @throws UsageError.
 */
export async function runSessions(argv: readonly string[]): Promise<number> {
  // Ids are base64url, and one in 64 begins with "-", which must not make it an option.
  const named = argv.find((word, at) => SESSION_ID.test(word) && !VALUE_FLAGS.has(argv[at - 1] ?? ''));
  const args = argv.filter((word) => word !== named);
  const { values, positionals } = parseArgs({ args, options: OPTIONS, allowPositionals: true });
  const [action, id = named, ...rest] = positionals;
  if (rest.length > 0) throw new UsageError(SESSIONS_USAGE);
  if (action === 'list') return list(values);
  if (action === 'revoke') return revoke(values, id);
  throw new UsageError(SESSIONS_USAGE);
}

interface Flags {
  readonly data: string;
  readonly account?: string | undefined;
  readonly subject?: string | undefined;
  readonly json: boolean;
}

interface Row {
  readonly id: string;
  readonly account: string;
  readonly subject?: string;
  readonly state: string;
  readonly created_at: string;
  readonly last_seen_at: string;
  readonly generation: number;
  readonly administrator?: boolean;
}

async function list(flags: Flags): Promise<number> {
  const { status, value } = await callControl(flags.data, 'GET', `/v1/sessions${personQuery(flags)}`);
  if (status !== 200) throw new Error((value as { error?: string }).error ?? 'refused');
  const rows = value as Row[];
  if (flags.json) process.stdout.write(`${JSON.stringify(rows)}\n`);
  else {
    const cells = rows.map((row) => [
      row.id,
      row.account,
      row.administrator === true ? `${row.subject ?? ''} (administrator)` : (row.subject ?? '-'),
      row.state,
      row.created_at,
      row.last_seen_at,
      String(row.generation),
    ]);
    const headings = ['id', 'account', 'subject', 'state', 'created', 'last seen', 'generation'];
    process.stdout.write(`${table(headings, cells)}\n${counted(rows.length)}\n`);
  }
  return 0;
}

async function revoke(flags: Flags, id: string | undefined): Promise<number> {
  if (id === undefined && (flags.account === undefined || flags.subject === undefined)) {
    throw new UsageError('name a session: zasov sessions revoke ID, or --account A and --subject S');
  }
  const path =
    id === undefined ? `/v1/sessions${personQuery(flags)}` : `/v1/sessions/${encodeURIComponent(id)}`;
  const { status, value } = await callControl(flags.data, 'DELETE', path);
  if (flags.json) process.stdout.write(`${JSON.stringify(value)}\n`);
  const { revoked, error } = value as { revoked?: number; error?: string };
  if (status !== 200) {
    process.stderr.write(`zasov: ${error ?? 'refused'}\n`);
    return 1;
  }
  if (!flags.json) process.stdout.write(`${counted(revoked ?? 0)} ended\n`);
  return 0;
}

function counted(count: number): string {
  return `${count} ${count === 1 ? 'session' : 'sessions'}`;
}

function personQuery({ account, subject }: Flags): string {
  const query = new URLSearchParams();
  if (account !== undefined) query.set('account', account);
  if (subject !== undefined) query.set('subject', subject);
  return query.size === 0 ? '' : `?${query.toString()}`;
}
