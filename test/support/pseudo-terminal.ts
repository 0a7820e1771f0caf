import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A program on a terminal of its own, driven as a person does it: read, type, look. */
export interface TerminalProgram {
  /** All that the terminal was sent so far, control characters included. */
  readonly screen: string;
  /** Waits until the terminal shows something. @throws Error with the screen when the program ends before. */
  shows(wanted: RegExp): Promise<void>;
  /** Types; `\u0003` is Ctrl-C, `\u0004` is Ctrl-D. */
  type(text: string): void;
  /** @returns the exit code as a shell would say it. */
  ended(): Promise<number>;
}

const LATE_MS = 30_000;

/**
 * Starts a command line of a shell on a pseudo-terminal (`script` of util-linux), which shows what it echoes.
 *
 * @param command one, as a shell takes it, with what it redirects.
 */
export function onTerminal(command: string): TerminalProgram {
  const directory = mkdtempSync(join(tmpdir(), 'zasov-pty-'));
  const child: ChildProcess = spawn(
    'script',
    [
      '--quiet',
      '--flush',
      '--return',
      '--command',
      `stty cols 100 rows 30; exec ${command}`,
      join(directory, 'log'),
    ],
    { stdio: ['pipe', 'pipe', 'inherit'], detached: true },
  );
  let screen = '';
  let wake = (): void => undefined;
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    screen += text;
    wake();
  });
  const end = new Promise<number>((resolve) => {
    child.once('close', (code) => {
      resolve(code ?? -1);
      wake();
      rmSync(directory, { recursive: true, force: true });
    });
  });
  const abandon = (): void => void child.kill('SIGKILL');
  process.once('exit', abandon);
  void end.then(() => process.removeListener('exit', abandon));
  return {
    get screen() {
      return screen;
    },
    async shows(wanted) {
      const late = AbortSignal.timeout(LATE_MS);
      late.addEventListener('abort', () => wake());
      while (!wanted.test(screen)) {
        if (child.exitCode !== null || late.aborted)
          throw new Error(`the terminal never showed ${wanted}:\n${JSON.stringify(screen)}`);
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
    type: (text) => void child.stdin?.write(text),
    ended: async () => await end,
  };
}
