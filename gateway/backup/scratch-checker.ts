import type { ChildProcess } from 'node:child_process';

import { GatewayError } from '../core/gateway-error.ts';

/** A process that restores an archive while it is written; see `scratch-check.ts`. */
export interface ScratchChecker {
  /** Takes the tar; resolves when the process is ready for more. */
  take(chunk: Uint8Array): Promise<void>;
  /** The archive, which ends only when the process found that all of it comes back, and fails otherwise. */
  checked(archive: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array>;
}

/** So much of what the process complains about is told. */
const COMPLAINT_CHARACTERS = 2000;

/**
 * Hands an archive to a process that proves that it can be restored.
 *
 * @param child runs `zasov backup-check` with its standard input and error as pipes. It is ended when the archive is.
 */
export function watchScratchCheck(child: ChildProcess): ScratchChecker {
  const { stdin, stderr } = child;
  if (stdin === null || stderr === null) throw new GatewayError('internal', 'the checker has no pipes');
  let complaint = '';
  stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(-COMPLAINT_CHARACTERS);
  });
  // A process that ends early closes its input: how it ended says why.
  stdin.on('error', () => undefined);
  const ended = new Promise<string | undefined>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('close', (code, signal) => {
      if (code === 0) resolve(undefined);
      else resolve(complaint.trim() || (signal ?? `exit code ${code ?? 0}`));
    });
  });
  // One reaction for all chunks: each race against a promise that stays open would leave something behind there.
  let isOver = false;
  let wake = (): void => undefined;
  void ended.then(() => {
    isOver = true;
    wake();
  });
  const failed = (why: string | undefined) =>
    new GatewayError(
      'backup_failed',
      `the archive could not be restored for a test, so it was not kept: ${why ?? 'the test ended too early'}`,
    );
  return {
    async take(chunk) {
      if (stdin.write(chunk)) return;
      await new Promise<void>((resolve) => {
        wake = resolve;
        stdin.once('drain', resolve);
        if (isOver) resolve();
      });
      if (isOver) throw failed(await ended);
    },
    async *checked(archive) {
      try {
        yield* archive;
        stdin.end();
        const why = await ended;
        if (why !== undefined) throw failed(why);
      } finally {
        if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
      }
    },
  };
}
