import { parseArchiveName } from '../backup/archive-format.ts';
import type { BackupFacts } from '../backup/backup-lease.ts';
import type { BackupObserver } from '../backup/backup-scheduler.ts';
import type { DrillReport } from '../backup/drill-report.ts';
import type { AuditSink } from '../core/audit-event.ts';
import type { Clock } from '../core/clock.ts';
import { GatewayError } from '../core/gateway-error.ts';
import type { GatewayMetrics } from '../observability/gateway-metrics.ts';
import type { Logger } from '../observability/logger.ts';

interface Reporters {
  readonly audit: Pick<AuditSink, 'note'>;
  readonly logger: Pick<Logger, 'info' | 'warn' | 'error'>;
  readonly metrics: GatewayMetrics;
}

/** Puts what becomes of backups on record, in the log and in the metrics, at once. */
export function reportBackups({ audit, logger, metrics }: Reporters): BackupObserver {
  return {
    started: (kind, cutOff) => {
      if (cutOff !== undefined) {
        metrics.backupFailures.child({ reason: 'cut_off' }).inc();
        logger.warn('a backup was cut off, because its gateway died; it begins anew', { kind, node: cutOff });
        audit.note({ event: 'backup.failed', facts: { kind, reason: 'cut_off', node: cutOff } });
      }
      logger.info('a backup begins', { kind });
      audit.note({ event: 'backup.started', facts: { kind } });
    },
    done: (kind, { archive, bytes, sha256, seconds }) => {
      // The whole name looks like a token, which logs and the trail cover up.
      const id = parseArchiveName(archive)?.id;
      logger.info('a backup is done, read back and named', { kind, id, bytes, sha256, seconds });
      audit.note({ event: 'backup.done', facts: { kind, id, bytes, sha256 } });
    },
    failed: (kind, error, failures) => {
      const reason = reasonOf(error);
      metrics.backupFailures.child({ reason }).inc();
      logger.error('a backup failed; the archives before it are untouched', {
        kind,
        reason,
        failures,
        error,
      });
      audit.note({ event: 'backup.failed', facts: { kind, reason } });
    },
    gaveUp: (kind) => {
      logger.warn('a backup was given up; it begins anew when it is due', { kind });
      audit.note({ event: 'backup.failed', facts: { kind, reason: 'given_up' } });
    },
  };
}

/** What the gauges of backups are set from. */
export interface BackupMeasures {
  readonly facts: BackupFacts | undefined;
  readonly drill: DrillReport | undefined;
  /** Names at the target that somebody wrote over or deleted. */
  readonly overwritten: number;
  /** How far the journal is behind, in milliseconds; `undefined` when nothing is known of it. */
  readonly journalLagMs: number | undefined;
}

/** Sets the gauges before a scrape; without measures they are 0. */
export function collectBackups(
  metrics: GatewayMetrics,
  clock: Clock,
  measures: BackupMeasures | undefined,
): void {
  const { backupLastSuccess, backupDrillLastSuccess, backupBytes, backupSeconds } = metrics;
  const { backupJournalLag, backupRpo, backupRto, backupOverwritten } = metrics;
  const gauges = [backupLastSuccess, backupDrillLastSuccess, backupBytes, backupSeconds];
  for (const gauge of [...gauges, backupJournalLag, backupRpo, backupRto, backupOverwritten]) gauge.reset();
  if (measures === undefined) return;
  const { facts, drill, overwritten, journalLagMs } = measures;
  backupOverwritten.child({}).set(overwritten);
  backupLastSuccess.child({}).set(Math.floor((facts?.lastSuccessMs ?? 0) / 1000));
  backupDrillLastSuccess.child({}).set(Math.floor((drill?.at_ms ?? 0) / 1000));
  if (drill !== undefined) backupRto.child({}).set(drill.took_ms / 1000);
  if (journalLagMs !== undefined) {
    backupJournalLag.child({}).set(journalLagMs / 1000);
    backupRpo.child({ part: 'journal' }).set(journalLagMs / 1000);
  }
  const last = facts?.last;
  if (last === undefined) return;
  backupBytes.child({}).set(last.bytes);
  backupSeconds.child({}).set(last.seconds);
  backupRpo.child({ part: 'archive' }).set(Math.max(0, clock.now() - last.createdMs) / 1000);
}

function reasonOf(error: unknown): string {
  return error instanceof GatewayError ? error.code : 'internal';
}
