import type { MetricRegistry } from './metric-registry.ts';

/** Declares the metrics of backups. Without a backup section all gauges stay 0. */
export function backupMetrics(registry: MetricRegistry) {
  return {
    backupLastSuccess: registry.gauge({
      name: 'zasov_backup_last_success_timestamp_seconds',
      help: 'When the snapshot of the last good backup was taken, as Unix time; 0 while there is none.',
    }),
    backupDrillLastSuccess: registry.gauge({
      name: 'zasov_backup_drill_last_success_timestamp_seconds',
      help: 'When a backup was last proved by restoring it, as Unix time, by signed reports at the target; 0 while there is none.',
    }),
    backupBytes: registry.gauge({ name: 'zasov_backup_bytes', help: 'Size of the last good backup.' }),
    backupSeconds: registry.gauge({
      name: 'zasov_backup_seconds',
      help: 'How long the last good backup took.',
    }),
    backupFailures: registry.counter({
      name: 'zasov_backup_failures_total',
      help: 'Backups that failed, by what went wrong.',
      labels: ['reason'],
    }),
    backupJournalLag: registry.gauge({
      name: 'zasov_backup_journal_lag_seconds',
      help: 'How much of the latest revocations and rotations is not at the target yet, in time.',
    }),
    backupRpo: registry.gauge({
      name: 'zasov_backup_rpo_seconds',
      help: 'How much would be lost with this site now, in time: of what the journal holds, and of what only archives hold.',
      labels: ['part'],
    }),
    backupOverwritten: registry.gauge({
      name: 'zasov_backup_overwritten_names',
      help: 'Names at the target that somebody wrote over or deleted, in vain, as last seen.',
    }),
    backupRto: registry.gauge({
      name: 'zasov_backup_rto_seconds',
      help: 'How long the last drill took to restore everything.',
    }),
  };
}
