import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ChildProgram, startProgram } from './child-program.ts';

const PROGRAM = 'gateway/zasov.mjs';
const READY_MS = 20_000;

/** A gateway in a process of its own, as an operator starts it. */
export interface RunningGateway {
  readonly program: ChildProgram;
  /** Origins of the listeners, with the ports that the system chose. */
  readonly listeners: { readonly public: string; readonly admin: string; readonly ops: string };
  /** Port of the public listener. */
  readonly port: number;
  /** The data directory; give it to a second start to see what survives. */
  readonly data: string;
  /** PEM of the local authority that signed the public certificate. */
  readonly ca: string;
  /** The whole ready line. */
  readonly ready: Record<string, unknown>;
  /** Runs a `zasov` command against this gateway. */
  command(...parameters: string[]): { code: number | null; stdout: string; stderr: string };
}

/**
 * Starts `zasov serve` with a policy text and waits until it is ready.
 *
 * @param policies YAML; listeners on port 0 are added unless it has a `listen` of its own.
 * @param data a data directory from an earlier start; a new temporary one by default.
 */
export async function startGateway(policies: string, data = temporaryDirectory()): Promise<RunningGateway> {
  const file = join(data, 'test-policies.yaml');
  const listen = ['public', 'admin', 'ops'].map((name) => `  ${name}: { address: 127.0.0.1, port: 0 }\n`);
  writeFileSync(file, /^listen:/m.test(policies) ? policies : `listen:\n${listen.join('')}${policies}`);
  return await startServing(file, data);
}

/** Starts `zasov serve` on a policy file or directory that is there. */
export async function startServing(policies: string, data: string): Promise<RunningGateway> {
  return await startZasov(['serve', '--policies', policies, '--data', data], data);
}

/** Starts `zasov demo` on a free port with a data directory of its own. */
export async function startDemo(options: readonly string[] = []): Promise<RunningGateway> {
  const data = temporaryDirectory();
  return await startZasov(['demo', '--json', '--port', '0', '--data', data, ...options], data);
}

/** A new directory that is removed when the test's process ends. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'zasov-test-'));
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

async function startZasov(parameters: string[], data: string): Promise<RunningGateway> {
  const program = startProgram(process.execPath, [PROGRAM, ...parameters]);
  const line = await program.line(/"event":\s*"ready"/, READY_MS).catch(async (error: unknown) => {
    // Nobody else knows of it, and it would keep the test's process from ending.
    await program.kill();
    throw error;
  });
  const ready = JSON.parse(line) as { listeners: RunningGateway['listeners']; ca: string };
  return {
    program,
    ready,
    listeners: ready.listeners,
    port: Number(new URL(ready.listeners.public).port),
    data,
    ca: readFileSync(ready.ca, 'utf8'),
    command: (...words) => {
      const result = spawnSync(process.execPath, [PROGRAM, ...words, '--data', data], { encoding: 'utf8' });
      return { code: result.status, stdout: result.stdout, stderr: result.stderr };
    },
  };
}
