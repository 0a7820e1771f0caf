import { openTarget } from '../backup/open-target.ts';
import { verifyArchives } from '../backup/verify-archives.ts';
import type { Environment } from '../config/environment.ts';
import { systemClock } from '../core/clock.ts';
import { GatewayError } from '../core/gateway-error.ts';
import type { BackupAnswer, BackupJob } from './backup-calls.ts';
import type { JobControl } from './backup-child.ts';

/** Does one job of a backup process. @throws GatewayError. */
export async function runJob(
  job: BackupJob,
  control: JobControl,
  environment: Environment,
): Promise<BackupAnswer> {
  const { data, backup } = job;
  const target = openTarget(backup.to, { clock: systemClock, environment, dataDirectory: data });
  if (job.job === 'archive') throw new GatewayError('backup_failed', 'archives are not made yet');
  return { job: 'verify', archives: await verifyArchives({ ...job, ...control, target }) };
}
