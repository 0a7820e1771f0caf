import { type ChildProcess, spawn } from 'node:child_process';

/** A program that a test started, in a process group of its own. */
export interface ChildProgram {
  readonly pid: number;
  /** Resolves with the exit code; `null` when it was killed. */
  readonly ended: Promise<number | null>;
  /** Everything written so far. */
  readonly output: { readonly stdout: string; readonly stderr: string };
  /**
   * Waits for a line of standard output.
   *
   * @throws Error with the program's standard error when it ends or the time is over before.
   */
  line(wanted: RegExp, timeoutMs: number): Promise<string>;
  /** SIGTERM, then SIGKILL for the whole group after the deadline. @returns the exit code; `null` after SIGKILL. */
  stop(deadlineMs?: number): Promise<number | null>;
  /** SIGKILL at once for the whole group. */
  kill(): Promise<void>;
}

/** SIGALRM is tap's way of ending a test that takes too long. */
const ENDINGS = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGALRM'] as const;
let areEndingsHeeded = false;

/** Starts a program. Whatever happens to the test short of SIGKILL, the group does not outlive it. */
export function startProgram(
  command: string,
  parameters: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
): ChildProgram {
  if (!areEndingsHeeded) for (const signal of ENDINGS) process.once(signal, () => process.exit(1));
  areEndingsHeeded = true;
  const child = spawn(command, parameters, { ...options, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (output.stderr += text));
  const ended = new Promise<number | null>((resolve) => {
    child.once('close', resolve);
    child.once('error', (error) => {
      output.stderr += String(error);
      resolve(null);
    });
  });
  const group = child.pid ?? 0;
  const abandon = (): void => signalGroup(group, 'SIGKILL');
  process.once('exit', abandon);
  void ended.then(() => process.removeListener('exit', abandon));
  const what = [command, ...parameters].join(' ');
  return {
    pid: group,
    output,
    ended,
    line: (wanted, timeoutMs) => waitForLine(child, output, wanted, timeoutMs, what),
    stop: async (deadlineMs = 20_000) => {
      if (isRunning(child)) child.kill('SIGTERM');
      const late = setTimeout(() => signalGroup(group, 'SIGKILL'), deadlineMs);
      const code = await ended;
      clearTimeout(late);
      signalGroup(group, 'SIGKILL');
      return code;
    },
    kill: async () => {
      signalGroup(group, 'SIGKILL');
      await ended;
    },
  };
}

function isRunning(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null;
}

function signalGroup(group: number, signal: NodeJS.Signals): void {
  if (group === 0) return;
  try {
    process.kill(-group, signal);
  } catch {
    // The group is gone, as it should be.
  }
}

async function waitForLine(
  child: ChildProcess,
  output: { stdout: string; stderr: string },
  wanted: RegExp,
  timeoutMs: number,
  what: string,
): Promise<string> {
  const deadline = AbortSignal.timeout(timeoutMs);
  for (;;) {
    const found = output.stdout.split('\n').find((line) => wanted.test(line));
    if (found !== undefined) return found;
    if (!isRunning(child)) throw new Error(`${what} ended early:\n${output.stderr}${output.stdout}`);
    if (deadline.aborted)
      throw new Error(`${what} wrote no ${wanted} in time:\n${output.stderr}${output.stdout}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
