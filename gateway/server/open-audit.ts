import { join } from 'node:path';

import { AuditQueue } from '../audit/audit-queue.ts';
import { createAuditKeys } from '../audit/audit-keys.ts';
import { headsDirectory } from '../audit/trail-head.ts';
import { TrailWriter } from '../audit/trail-writer.ts';
import type { AuditSink } from '../core/audit-event.ts';
import type { Clock } from '../core/clock.ts';
import type { Keyring } from '../crypto/keyring.ts';
import type { GatewayMetrics } from '../observability/gateway-metrics.ts';
import type { Logger } from '../observability/logger.ts';
import type { Policy } from '../policy/policy.ts';
import type { EndRelay } from './end-relay.ts';
import { RelayHub } from './worker-relay.ts';

/** What the audit trail of a process stands on. */
export interface AuditOptions {
  readonly policy: Policy;
  readonly data: string;
  readonly version: string;
  readonly keyring: Keyring;
  /** Set where several processes share the data directory. */
  readonly relay: EndRelay | undefined;
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
export function openAudit(options: AuditOptions): Audit {
  const { policy, data, version, keyring, relay, clock, metrics, logger } = options;
  let complainedMs = Number.NEGATIVE_INFINITY;
  const queue = new AuditQueue({
    writer: new TrailWriter({
      directory: policy.auditDirectory ?? join(data, 'audit'),
      heads: headsDirectory(data),
      keys: createAuditKeys(keyring),
      clock,
      process: { pid: process.pid, role: roleOf(relay), version },
      // Whoever collects the log has with it what a trail can be held against.
      signed: ({ writer, seq, hash }) => logger.info('audit checkpoint', { writer, seq, fingerprint: hash }),
    }),
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

function roleOf(relay: EndRelay | undefined): string {
  if (relay === undefined) return 'gateway';
  return relay instanceof RelayHub ? 'supervisor' : 'worker';
}
