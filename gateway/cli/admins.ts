import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

import { type AdminAccess, readAdminAccess } from './admin-client.ts';
import {
  approve,
  type AdminsOverview,
  describeAdmins,
  isCertificateFile,
  propose,
  reject,
  renew,
} from './admins-approve.ts';
import { enrol } from './admins-enrol.ts';
import { callControl } from './control-client.ts';
import { UsageError } from './usage-error.ts';

const OPTIONS = {
  data: { type: 'string', default: 'var' },
  policies: { type: 'string', default: 'policies' },
  out: { type: 'string', default: '.' },
  csr: { type: 'string' },
  url: { type: 'string', default: 'https://127.0.0.1:8444' },
  cert: { type: 'string' },
  key: { type: 'string' },
  ca: { type: 'string' },
  replace: { type: 'string' },
  with: { type: 'string' },
  yes: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
} as const;

/** What `zasov admins --help` shows. */
export const ADMINS_USAGE = `zasov admins list [--data DIR]
       zasov admins enrol NAME [--data DIR] [--policies DIR|FILE] [--out DIR] [--csr FILE]
       zasov admins propose replace_administrators [--replace NAME --with NAME=sha256:…]
                          | unseal_region REGION | restore ARCHIVE | lower_protection   PERSON [--yes]
       zasov admins approve ID PERSON [--yes] | reject ID PERSON | renew PERSON
       zasov admins revoke NAME|SERIAL|FILE [--data DIR]
       PERSON is --cert FILE --key FILE [--url https://HOST:8444] [--ca FILE]; each with [--json]`;

type Flags = ReturnType<typeof readArguments>['values'];
type Action = (flags: Flags, operand: string, more: string | undefined) => Promise<number>;

/** Actions by name; those that end with `?` take no operand. */
const ACTIONS: Record<string, Action> = {
  'list?': list,
  enrol: (flags, name) => enrol({ ...flags, name }),
  propose: (flags, kind, operand) =>
    propose(personOf(flags), { ...flags, kind, operand, replace: flags.replace, with: flags.with }),
  approve: (flags, id) => approve(personOf(flags), id, flags),
  reject: (flags, id) => reject(personOf(flags), id, flags),
  'renew?': (flags) => renew(personOf(flags), flags.cert ?? '', flags),
  revoke,
};

/**
 * `zasov admins …`: the two administrators and what both must agree to. `list`, `enrol` and `revoke` are the operator's
 * and work on this machine; the others are a person's own, work from anywhere and sign with the person's key here.
 *
 * @returns the exit code. @throws UsageError.
 */
export async function runAdmins(argv: readonly string[]): Promise<number> {
  const { values, positionals } = readArguments(argv);
  const [name = '', operand, more, ...rest] = positionals;
  const plain = ACTIONS[`${name}?`];
  const action = plain ?? (Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined);
  const isWrong =
    (operand === undefined) !== (plain !== undefined) || (more !== undefined && name !== 'propose');
  if (action === undefined || isWrong || rest.length > 0) throw new UsageError(ADMINS_USAGE);
  return action(values, operand ?? '', more);
}

function readArguments(argv: readonly string[]) {
  return parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: true });
}

function personOf({ cert, key, url, ca, data }: Flags): AdminAccess {
  if (cert === undefined || key === undefined) throw new UsageError(ADMINS_USAGE);
  return readAdminAccess({ cert, key, url, ca, data });
}

async function list({ data, json }: Flags): Promise<number> {
  const value = await control(data, 'GET', '/v1/admins');
  process.stdout.write(json ? `${JSON.stringify(value)}\n` : `${describeAdmins(value as AdminsOverview)}\n`);
  return 0;
}

async function revoke({ data, json }: Flags, operand: string): Promise<number> {
  const isSerial = /^[0-9A-Fa-f:]{16,}$/.test(operand);
  const body = isCertificateFile(operand)
    ? { serial: new X509Certificate(readFileSync(operand)).serialNumber }
    : isSerial
      ? { serial: operand }
      : { name: operand };
  const value = await control(data, 'POST', '/v1/admins/revocations', body);
  process.stdout.write(json ? `${JSON.stringify(value)}\n` : 'revoked\n');
  return 0;
}

/** @throws Error with what the gateway says when it refuses. */
async function control(data: string, method: string, path: string, body?: unknown): Promise<unknown> {
  const { status, value } = await callControl(data, method, path, body);
  if (status >= 300) throw new Error((value as { error?: string }).error ?? `refused with ${status}`);
  return value;
}
