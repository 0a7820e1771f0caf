import { setPriority } from 'node:os';

import type { BackupProgress } from '../backup/backup-progress.ts';
import { GatewayError } from '../core/gateway-error.ts';
import type { BackupAnswer, BackupJob, BackupOwnerCalls, BackupProcessCalls } from './backup-calls.ts';
import type { JobControl } from './backup-child.ts';
import { type ProcessEnd, ProcessLink } from './process-link.ts';

type Link = ProcessLink<BackupOwnerCalls, BackupProcessCalls>;

/** Work of a backup gives way to requests: `nice`, 19 at most. */
const NICENESS = 10;
const CONFIRM_MS = 20_000;
const PROGRESS_MS = 200;

/**
 * Serves one job in this process, which its owner started for it. The process should end when this resolves. When
 * the owner is gone the job is given up, so that a gateway that was killed leaves no archive half written.
 *
 * @param run does the job; throws GatewayError.
 */
export async function serveBackupJob(
  end: ProcessEnd,
  run: (job: BackupJob, control: JobControl) => Promise<BackupAnswer>,
): Promise<void> {
  lowerPriority();
  const ending = new AbortController();
  await new Promise<void>((resolve) => {
    let isRunning = false;
    const link: Link = new ProcessLink<BackupOwnerCalls, BackupProcessCalls>(end, {
      run: async (job): Promise<BackupAnswer> => {
        isRunning = true;
        try {
          return await run(job, controlOf(link, ending.signal));
        } catch (error) {
          return failureOf(error);
        } finally {
          isRunning = false;
          if (!end.connected) resolve();
        }
      },
      end: () => {
        ending.abort();
        return true;
      },
    });
    end.on('disconnect', () => {
      ending.abort();
      if (!isRunning) resolve();
    });
  });
}

function controlOf(link: Link, signal: AbortSignal): JobControl {
  return {
    signal,
    confirm: () => link.ask('confirm', true, CONFIRM_MS),
    onProgress: sparingly((progress) => {
      link.ask('progress', progress, CONFIRM_MS).catch(() => undefined);
    }),
  };
}

function failureOf(error: unknown): BackupAnswer {
  if (error instanceof GatewayError) return { job: 'failed', code: error.code, message: error.message };
  return { job: 'failed', code: 'internal', message: error instanceof Error ? error.message : String(error) };
}

/** Each change of the phase, and otherwise a few times a second. */
function sparingly(tell: (progress: BackupProgress) => void): (progress: BackupProgress) => void {
  let phase: string | undefined;
  let toldMs = 0;
  return (progress) => {
    const nowMs = performance.now();
    if (progress.phase === phase && nowMs - toldMs < PROGRESS_MS) return;
    phase = progress.phase;
    toldMs = nowMs;
    tell(progress);
  };
}

function lowerPriority(): void {
  try {
    setPriority(NICENESS);
  } catch {
    // A sandbox that forbids it takes nothing from the backup.
  }
}
