import { openSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';
import { ReadStream } from 'node:tty';

import { UsageError } from './usage-error.ts';

/** How somebody at a terminal is asked. */
interface AskOptions {
  /** What is typed is not shown. */
  readonly isSecret?: boolean;
  /** Lines that are no answer are passed over: comments of a file that is pasted as a whole. */
  readonly isAnswer?: (line: string) => boolean;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Asks whoever sits at the terminal of this process, also when its standard input is something else.
 *
 * @returns the line as it was typed.
 * @throws UsageError when there is no terminal, or it is at its end; the reason of the signal. Ctrl-C is the signal
 * SIGINT, as without a question.
 */
export async function askTerminal(question: string, options: AskOptions = {}): Promise<string> {
  const { isSecret = false, isAnswer = () => true, signal } = options;
  signal?.throwIfAborted();
  const input = openTerminal();
  if (input === undefined) throw new UsageError('there is no terminal to ask at');
  const hidden = new Writable({ write: (_chunk, _encoding, done) => done() });
  const output = isSecret ? hidden : process.stderr;
  const terminal = createInterface({ input, output, terminal: true, historySize: 0 });
  // Now that the terminal does not echo any more: somebody may answer the moment that the question is there.
  if (isSecret) process.stderr.write(question);
  let abort = (): void => undefined;
  try {
    return await new Promise<string>((resolve, reject) => {
      abort = () => reject(signal?.reason as Error);
      signal?.addEventListener('abort', abort, { once: true });
      terminal.on('line', (line) => {
        if (isAnswer(line)) resolve(line);
      });
      // The terminal is in its raw mode, in which it sends no signal by itself.
      terminal.on('SIGINT', () => process.kill(process.pid, 'SIGINT'));
      terminal.on('close', () => reject(new UsageError('nothing was answered')));
      if (isSecret) return;
      terminal.setPrompt(question);
      terminal.prompt();
    });
  } finally {
    signal?.removeEventListener('abort', abort);
    terminal.close();
    if (input !== process.stdin) input.destroy();
    if (isSecret) process.stderr.write('\n');
  }
}

function openTerminal(): ReadStream | undefined {
  if (process.stdin.isTTY) return process.stdin;
  try {
    return new ReadStream(openSync('/dev/tty', 'r+'));
  } catch {
    return undefined;
  }
}
