import { join } from 'node:path';

import { AuditQueue } from '../audit/audit-queue.ts';
import { createPlainWriter } from '../audit/plain-writer.ts';
import type { AuditSink } from '../core/audit-event.ts';
import type { Clock } from '../core/clock.ts';
import type { GatewayMetrics } from '../observability/gateway-metrics.ts';
import type { Logger } from '../observability/logger.ts';
import type { Policy } from '../policy/policy.ts';

/** What the audit trail of a process stands on. */
export interface AuditOptions {
  readonly policy: Policy;
  readonly data: string;
  readonly clock: Clock;
  readonly metrics: GatewayMetrics;
  readonly logger: Logger;
}

/** The audit trail of this process. */
export interface Audit extends AuditSink {
  /** Writes what waits and signs the end. */
  close(): Promise<void>;
}

/** A log line about a trail that cannot be written comes once in this time. */
const COMPLAIN_MS = 60_000;
const CLOSE_MS = 5000;

/** Opens the audit trail of this process. What cannot be written does not keep the gateway from starting. */
export function openAudit({ policy, data, clock, metrics, logger }: AuditOptions): Audit {
  let complainedMs = Number.NEGATIVE_INFINITY;
  const queue = new AuditQueue({
    writer: createPlainWriter(policy.auditDirectory ?? join(data, 'audit')),
    clock,
    observer: {
      written: (count) => metrics.auditEntries.inc(count),
      lost: (count) => metrics.auditLost.inc(count),
      failed: (error) => {
        metrics.auditFailures.inc();
        if (clock.now() - complainedMs < COMPLAIN_MS) return;
        complainedMs = clock.now();
        logger.error('the audit trail cannot be written', { error });
      },
      recovered: () => logger.warn('the audit trail is written again'),
    },
  });
  return {
    note: (event) => queue.note(event),
    commit: (event) => queue.commit(event),
    close: () => queue.close(CLOSE_MS),
  };
}
