import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { allowedProcessors } from './process-meter.ts';

/** Which processors a child may use: those of the measured program, or those of everything around it. */
export type Seat = 'target' | 'around';

/** A running child. Its standard output goes to a file, as a service manager's would, so that reading it costs nobody. */
export interface Child {
  readonly name: string;
  readonly pid: number;
  /** The fields of its ready line. */
  readonly ready: Record<string, unknown>;
  /** What it has written to standard output so far. */
  output(): string;
  /** The end of what it has written to standard error. */
  complaints(): string;
  /** Ends it with SIGTERM, after `patienceMs` with SIGKILL. */
  stop(patienceMs?: number): Promise<void>;
}

const running = new Map<number, ChildProcess>();

/** Where this run keeps its files; removed at exit. */
export const scratch = mkdtempSync(join(tmpdir(), 'zasov-bench-'));

function kill(pid: number, signal: 'SIGTERM' | 'SIGKILL'): void {
  try {
    // Every child leads a process group of its own, so that nginx's worker goes with its master.
    process.kill(-pid, signal);
  } catch {
    running.delete(pid);
  }
}

process.on('exit', () => {
  for (const pid of running.keys()) kill(pid, 'SIGKILL');
  rmSync(scratch, { recursive: true, force: true });
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(130));

const taskset = 'taskset';
const hasTaskset = spawnSync(taskset, ['--version'], { stdio: 'ignore' }).status === 0;

/** Gives the measured program a processor of its own where there are two or more. */
export function seatCommand(seat: Seat, command: readonly string[]): string[] {
  const processors = allowedProcessors();
  const [first, ...others] = processors;
  if (!hasTaskset || first === undefined || others.length === 0) return [...command];
  return [taskset, '-c', seat === 'target' ? String(first) : others.join(','), ...command];
}

function readyLine(output: string): Record<string, unknown> | undefined {
  for (const line of output.split('\n').slice(0, -1)) {
    if (!line.includes('"event":"ready"')) continue;
    return JSON.parse(line) as Record<string, unknown>;
  }
  return undefined;
}

function tail(path: string): string {
  return readFileSync(path, 'utf8').slice(-2000);
}

/** How a child is started. */
export interface StartOptions {
  readonly name: string;
  readonly seat: Seat;
  readonly command: readonly string[];
  /** Asks whether the child is up, for programs that write no ready line. */
  readonly probe?: () => Promise<Record<string, unknown> | undefined>;
}

async function stopChild(child: ChildProcess, pid: number, patienceMs: number): Promise<void> {
  if (!running.has(pid)) return;
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  kill(pid, 'SIGTERM');
  const timer = setTimeout(() => kill(pid, 'SIGKILL'), patienceMs);
  await gone;
  clearTimeout(timer);
}

/**
 * Starts a child and waits until it is ready, 20 seconds at most.
 *
 * @throws Error with the child's last words when it ends or stays silent.
 */
export async function startChild(options: StartOptions): Promise<Child> {
  const outputPath = join(scratch, `${options.name}-${running.size}-${Date.now()}.out`);
  const errorPath = `${outputPath}.err`;
  const output = openSync(outputPath, 'w');
  const errors = openSync(errorPath, 'w');
  const [program = '', ...args] = seatCommand(options.seat, options.command);
  const child = spawn(program, args, { stdio: ['ignore', output, errors], detached: true });
  closeSync(output);
  closeSync(errors);
  const { pid } = child;
  if (pid === undefined) throw new Error(`${options.name} cannot be started: ${program}`);
  running.set(pid, child);
  child.once('exit', () => running.delete(pid));
  const probe = options.probe ?? (async () => readyLine(readFileSync(outputPath, 'utf8')));
  for (const deadline = Date.now() + 20_000; Date.now() < deadline; await delay(25)) {
    if (!running.has(pid)) break;
    const ready = await probe();
    if (ready === undefined) continue;
    return {
      name: options.name,
      pid,
      ready,
      output: () => readFileSync(outputPath, 'utf8'),
      complaints: () => tail(errorPath),
      stop: async (patienceMs = 3000) => stopChild(child, pid, patienceMs),
    };
  }
  await stopChild(child, pid, 500);
  throw new Error(`${options.name} did not become ready:\n${tail(outputPath)}${tail(errorPath)}`);
}
