import { type ChildProcess, spawn } from 'node:child_process';

import { processEnvironment } from '../config/environment.ts';
import { BACKUP_NODE_OPTIONS } from '../server/backup-child.ts';
import { serveBackupJob } from '../server/backup-service.ts';
import { runJob } from '../server/make-archive.ts';
import { UsageError } from './usage-error.ts';

/**
 * `zasov backup-worker`: the process that makes one archive, or reads archives back. Started by the gateway only, with
 * a channel over which it learns everything; not for people.
 *
 * @returns 0 when its owner has the answer or is gone. @throws UsageError without a channel.
 */
export async function runBackupWorker(): Promise<number> {
  if (process.send === undefined)
    throw new UsageError('"backup-worker" is started by the gateway itself; see zasov backup now');
  // A terminal signals every process of the group. When to end is the gateway's to say.
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => undefined);
  const environment = processEnvironment();
  await serveBackupJob(process, (job, control) => runJob(job, control, environment, startCheck));
  process.exit(0);
}

function startCheck(directory: string): ChildProcess {
  return spawn(process.execPath, [...BACKUP_NODE_OPTIONS, process.argv[1] ?? '', 'backup-check', directory], {
    stdio: ['pipe', 'ignore', 'pipe'],
  });
}
