import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Child } from './children.ts';
import { scratch, startChild } from './children.ts';
import type { Surroundings } from './target.ts';

const program = fileURLToPath(new URL('../../gateway/zasov.mjs', import.meta.url));
const main = fileURLToPath(new URL('../../gateway/main.ts', import.meta.url));

/** Whether the gateway is in this checkout. */
export function hasZasov(): boolean {
  return existsSync(main);
}

/** How the gateway is started for a measurement. */
export interface ZasovSettings {
  /** `info` writes one access line per request, as in production; `warn` writes none. */
  readonly logLevel: 'info' | 'warn';
  /** Options of Node itself: `--cpu-prof`, say. */
  readonly nodeOptions?: readonly string[];
  /** Its directory, made already; `var` in it is the data directory. */
  readonly data?: string;
  /** Further sections of the policies. */
  readonly more?: string;
  /** What opens everything but the login. Default a session. */
  readonly access?: 'session' | 'api_key';
}

/** A route for keys always has a limit; this one is never reached. */
const PLENTY = ', limit: plenty }\nlimits: { plenty: { per: api_key, requests: 100000000/1s } }';

/** The gateway's policies for the bench: one node, everything but the login behind a session or key. */
export function zasovPolicy(
  upstream: string,
  logLevel: string,
  access: 'session' | 'api_key' = 'session',
): string {
  return `listen:
  public: { address: 127.0.0.1, port: 0 }
  admin: { address: 127.0.0.1, port: 0 }
  ops: { address: 127.0.0.1, port: 0 }
tls:
  certificates:
    - { hosts: ["localhost"], self_signed: true }
accounts: { single: main }
regions:
  - { id: one, nodes: ["${upstream}"], role: primary }
routing:
  home: { default: one }
routes:
  - { name: login, match: { path: "/login" }, access: public }
  - { name: app, match: { path: "/**" }, access: ${access}${access === 'api_key' ? PLENTY : ' }'}
sessions:
  vault: ["CRMSESSID"]
  begin:
    - match: { method: POST, path: /login }
      subject: form.username
      success: { status: [302] }
protection: { connections_per_client: 10000, drain: 2s }
log: { level: ${logLevel} }
`;
}

/** Starts the gateway on an empty data directory in front of the bench's upstream. */
export async function startZasov(around: Surroundings, settings: ZasovSettings): Promise<Child> {
  const data = settings.data ?? mkdtempSync(join(scratch, 'zasov-'));
  const policies = join(data, 'bench.yaml');
  writeFileSync(
    policies,
    zasovPolicy(around.upstream, settings.logLevel, settings.access) + (settings.more ?? ''),
  );
  const options = settings.nodeOptions ?? [];
  return startChild({
    name: 'zasov',
    seat: 'target',
    command: [
      process.execPath,
      ...options,
      program,
      'serve',
      '--policies',
      policies,
      '--data',
      join(data, 'var'),
    ],
  });
}

/** Issues an API key of a gateway that runs. @param data its directory, as in the settings. */
export function issueKey(data: string): string {
  const words = ['keys', 'issue', '--account', 'main', '--subject', 'program', '--json'];
  const options = { encoding: 'utf8' } as const;
  const { stdout, stderr } = spawnSync(
    process.execPath,
    [program, ...words, '--data', join(data, 'var')],
    options,
  );
  if (stdout === '') throw new Error(`no key was issued: ${stderr}`);
  return (JSON.parse(stdout) as { key: string }).key;
}
