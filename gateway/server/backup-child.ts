import { type ChildProcess, fork } from 'node:child_process';

import type { ArchiveOrder } from '../backup/backup-scheduler.ts';
import { GatewayError, type ProblemCode, PROBLEMS } from '../core/gateway-error.ts';
import type { BackupAnswer, BackupJob, BackupOwnerCalls, BackupProcessCalls } from './backup-calls.ts';
import { ProcessLink } from './process-link.ts';

/** So long a process may take to tidy up after it was told to end, in milliseconds; then it is killed. */
const TIDY_MS = 10_000;
/** No archive takes longer: the longest time that a timer knows. */
const LONGEST_MS = 2 ** 31 - 1;

/**
 * Options of Node for processes of a backup. What streams through them are buffers outside of V8's heap, which only a
 * collection frees: a small space for young objects, in MiB, is collected often, and a quarter of the memory is saved.
 */
export const BACKUP_NODE_OPTIONS: readonly string[] = ['--max-semi-space-size=2'];

/** Starts the process for one job. @param program what `zasov` is. */
export function launchBackupWorker(program: string): ChildProcess {
  return fork(program, ['backup-worker'], {
    execArgv: [...process.execArgv, ...BACKUP_NODE_OPTIONS],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
}

/** What a job is given beside itself. */
export type JobControl = Pick<ArchiveOrder, 'signal' | 'confirm' | 'onProgress'>;

/**
 * Has a process of its own do one job, so that neither its memory nor its work are the gateway's. Whatever becomes of
 * the process, the promise settles and the process is gone then.
 *
 * @throws GatewayError as the job failed; `backup_failed` when the process died.
 */
export async function runBackupJob(
  launch: () => ChildProcess,
  job: BackupJob,
  { signal, confirm, onProgress }: JobControl,
): Promise<Exclude<BackupAnswer, { job: 'failed' }>> {
  signal.throwIfAborted();
  const child = launch();
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error) => resolve(error.message));
    child.once('exit', (code, killedBy) => resolve(killedBy ?? `exit code ${code ?? 0}`));
  });
  const link = new ProcessLink<BackupProcessCalls, BackupOwnerCalls>(child, {
    progress: (progress) => {
      onProgress(progress);
      return true;
    },
    confirm: () => confirm(),
  });
  let late: NodeJS.Timeout | undefined;
  const end = () => {
    late ??= setTimeout(() => child.kill('SIGKILL'), TIDY_MS);
    link.ask('end', true, TIDY_MS).catch(() => undefined);
  };
  signal.addEventListener('abort', end, { once: true });
  try {
    const answer = await link.ask('run', job, LONGEST_MS).catch(async (error: unknown) => {
      // A process that died cannot say why; the system can.
      const how = await Promise.race([ended, later(1000)]);
      throw new GatewayError('backup_failed', `the backup process ended before its work: ${how}`, {
        cause: error,
      });
    });
    signal.throwIfAborted();
    if (answer.job === 'failed') throw new GatewayError(codeOf(answer.code), answer.message);
    return answer;
  } finally {
    signal.removeEventListener('abort', end);
    if (child.connected) child.disconnect();
    late ??= setTimeout(() => child.kill('SIGKILL'), TIDY_MS);
    await ended;
    clearTimeout(late);
  }
}

function codeOf(code: string): ProblemCode {
  return Object.hasOwn(PROBLEMS, code) ? (code as ProblemCode) : 'internal';
}

function later(milliseconds: number): Promise<string> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds, 'no answer').unref());
}
