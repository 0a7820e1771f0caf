import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

import { callControl } from './control-client.ts';
import { importLines } from './import-lines.ts';
import { table } from './table.ts';
import { UsageError } from './usage-error.ts';

const OPTIONS = {
  data: { type: 'string', default: 'var' },
  account: { type: 'string' },
  subject: { type: 'string' },
  label: { type: 'string' },
  state: { type: 'string' },
  routes: { type: 'string' },
  methods: { type: 'string' },
  networks: { type: 'string' },
  requests: { type: 'string' },
  overlap: { type: 'string' },
  'read-only': { type: 'boolean', default: false },
  'upstream-credential-file': { type: 'string' },
  all: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
} as const;

/** What `zasov keys --help` shows. */
export const KEYS_USAGE = `zasov keys issue --account A --subject S [--label L] [--routes a,b] [--methods GET,POST] [--read-only]
                   [--networks CIDR,…] [--requests 20/1s] [--upstream-credential-file F]
       zasov keys list [--account A] [--subject S] [--state active|expiring|held|rotated|expired|revoked]
       zasov keys rotate ID [--overlap 1h] | revoke ID | import FILE
       zasov keys release ID | release --all
       each with [--data DIR] [--json]`;

const STATES = ['active', 'expiring', 'held', 'rotated', 'expired', 'revoked'];

type Flags = ReturnType<typeof readArguments>['values'];

interface Issued {
  readonly id: string;
  readonly key: string;
  readonly expires_at: string;
}

interface Row {
  readonly id: string;
  readonly account: string;
  readonly subject: string;
  readonly label: string;
  readonly state: string;
  readonly created_at: string;
  readonly expires_at: string;
  readonly last_used_at: string | null;
}

/**
 * `zasov keys issue|list|rotate|revoke|release|import`: API keys of a running gateway.
 *
 * @returns the exit code. @throws UsageError.
 */
export async function runKeys(argv: readonly string[]): Promise<number> {
  const { values, positionals } = readArguments(argv);
  const [action, operand, ...rest] = positionals;
  if (rest.length > 0) throw new UsageError(KEYS_USAGE);
  if (action === 'issue' && operand === undefined) return issue(values);
  if (action === 'list' && operand === undefined) return list(values);
  if (action === 'release' && values.all === (operand === undefined)) return release(values, operand);
  if (operand === undefined) throw new UsageError(KEYS_USAGE);
  if (action === 'rotate') return rotate(values, operand);
  if (action === 'revoke') return revoke(values, operand);
  if (action === 'import') return importFile(values, operand);
  throw new UsageError(KEYS_USAGE);
}

function readArguments(argv: readonly string[]) {
  return parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: true });
}

async function issue(flags: Flags): Promise<number> {
  const { account, subject, label } = flags;
  if (account === undefined || subject === undefined) throw new UsageError(KEYS_USAGE);
  const file = flags['upstream-credential-file'];
  const scope = {
    routes: words(flags.routes),
    methods: words(flags.methods)?.map((method) => method.toUpperCase()),
    networks: words(flags.networks),
    requests: flags.requests,
    read_only: flags['read-only'],
  };
  const credential = file === undefined ? undefined : readFileSync(file, 'utf8').trim();
  const body = { account, subject, label, scope, upstream_credential: credential };
  return showIssued(flags, await call(flags, 'POST', '/v1/keys', body));
}

async function rotate(flags: Flags, id: string): Promise<number> {
  const path = `/v1/keys/${encodeURIComponent(id)}/rotate`;
  return showIssued(flags, await call(flags, 'POST', path, { overlap: flags.overlap }));
}

function showIssued({ json }: Flags, value: unknown): number {
  const { id, key, expires_at: expires } = value as Issued;
  if (json) process.stdout.write(`${JSON.stringify(value)}\n`);
  else {
    process.stdout.write(`${table(['id', 'expires', 'key'], [[id, expires, key]])}\n`);
    process.stdout.write('the key is shown this once; nobody can read it again\n');
  }
  return 0;
}

async function list(flags: Flags): Promise<number> {
  if (flags.state !== undefined && !STATES.includes(flags.state))
    throw new UsageError(`--state takes ${STATES.join(', ')}`);
  const query = new URLSearchParams();
  if (flags.account !== undefined) query.set('account', flags.account);
  if (flags.subject !== undefined) query.set('subject', flags.subject);
  const all = (await call(flags, 'GET', `/v1/keys?${query.toString()}`)) as Row[];
  const rows = all.filter(({ state }) => flags.state === undefined || state === flags.state);
  if (flags.json) process.stdout.write(`${JSON.stringify(rows)}\n`);
  else {
    const headings = ['id', 'account', 'subject', 'label', 'state', 'created', 'expires', 'last used'];
    const cells = rows.map((row) => [
      row.id,
      row.account,
      row.subject,
      row.label,
      row.state,
      row.created_at,
      row.expires_at,
      row.last_used_at ?? '-',
    ]);
    process.stdout.write(`${table(headings, cells)}\n${counted(rows.length)}\n`);
  }
  return 0;
}

async function revoke(flags: Flags, id: string): Promise<number> {
  const value = await call(flags, 'DELETE', `/v1/keys/${encodeURIComponent(id)}`);
  process.stdout.write(flags.json ? `${JSON.stringify(value)}\n` : `key ${id} ended\n`);
  return 0;
}

async function release(flags: Flags, id: string | undefined): Promise<number> {
  const path = id === undefined ? '/v1/keys/release' : `/v1/keys/${encodeURIComponent(id)}/release`;
  let released = 0;
  let left = 0;
  do {
    const part = (await call(flags, 'POST', path)) as { released: number; left?: number };
    released += part.released;
    left = part.left ?? 0;
    if (left > 0) process.stderr.write(`${counted(released)} released, ${left} left\n`);
  } while (left > 0);
  process.stdout.write(
    flags.json ? `${JSON.stringify({ released })}\n` : `${counted(released)} released from hold\n`,
  );
  return 0;
}

/** Sent in parts, so that none is longer than the gateway reads. */
const IMPORT_AT_ONCE = 500;

async function importFile(flags: Flags, file: string): Promise<number> {
  const { keys, lines } = importLines(readFileSync(file, 'utf8'));
  let imported = 0;
  const refused: { line: number; error: string }[] = [];
  for (let from = 0; from < keys.length; from += IMPORT_AT_ONCE) {
    const part = keys.slice(from, from + IMPORT_AT_ONCE);
    const value = (await call(flags, 'POST', '/v1/keys/import', { keys: part })) as {
      imported: number;
      refused: { index: number; error: string }[];
    };
    imported += value.imported;
    for (const { index, error } of value.refused) refused.push({ line: lines[from + index] ?? 0, error });
  }
  if (flags.json) process.stdout.write(`${JSON.stringify({ imported, refused })}\n`);
  else {
    for (const { line, error } of refused) process.stderr.write(`zasov: ${file}:${line}: ${error}\n`);
    process.stdout.write(`${counted(imported)} imported, ${refused.length} refused\n`);
  }
  return refused.length === 0 ? 0 : 1;
}

/** @throws Error with what the gateway says when it refuses. */
async function call(flags: Flags, method: string, path: string, body?: unknown): Promise<unknown> {
  const { status, value } = await callControl(flags.data, method, path, body);
  if (status >= 300) throw new Error((value as { error?: string }).error ?? `refused with ${status}`);
  return value;
}

function counted(count: number): string {
  return `${count} ${count === 1 ? 'key' : 'keys'}`;
}

function words(text: string | undefined): string[] | undefined {
  return text?.split(',').map((word) => word.trim());
}
