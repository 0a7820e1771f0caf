import type { AuditSink } from '../core/audit-event.ts';
import type { Clock } from '../core/clock.ts';
import type { Keyring } from '../crypto/keyring.ts';
import type { GatewayMetrics } from '../observability/gateway-metrics.ts';
import type { Logger } from '../observability/logger.ts';
import { type AlarmBook, createAlarmBook } from '../pipeline/alarm-book.ts';
import { auditSessions } from '../pipeline/audit-report.ts';
import { type Notice, observeSessions } from '../pipeline/session-report.ts';
import type { Policy } from '../policy/policy.ts';
import { createSessionService } from '../session/session-service.ts';
import type { SessionService } from '../session/session.ts';
import type { RecordStore } from '../store/record-store.ts';
import type { SessionStore } from '../store/session-store.ts';
import type { EndRelay } from './end-relay.ts';
import { RelayedStore } from './relayed-store.ts';

/** What sessions of a process stand on. */
export interface SessionOptions {
  readonly policy: Policy;
  readonly store: SessionStore;
  readonly records: RecordStore;
  /** Set where several processes of one node share the store. */
  readonly relay: EndRelay | undefined;
  readonly keyring: Keyring;
  readonly clock: Clock;
  readonly metrics: GatewayMetrics;
  readonly logger: Logger;
  readonly audit: AuditSink;
}

/** Builds the session service, and the book in which people's alarms stand. */
export function openSessions(options: SessionOptions): { sessions: SessionService; alarms: AlarmBook } {
  const { policy, store, records, relay, keyring, clock, metrics, logger, audit } = options;
  const notice: Notice = (level, message, facts) => logger[level](message, facts);
  const alarms = createAlarmBook(records, keyring, clock, (error) =>
    notice('warn', 'an alarm could not be kept', { error }),
  );
  const relayed = relay === undefined ? undefined : new RelayedStore(store, relay);
  const report = observeSessions(
    metrics,
    (...told) => (relayed?.isTelling === true ? undefined : notice(...told)),
    alarms,
  );
  const trail = auditSessions(audit);
  const sessions = createSessionService({
    store: relayed ?? store,
    keyring,
    clock,
    settings: policy.sessions,
    observer: {
      ...report,
      began: (...told) => trail.began(...told),
      theft: (...told) => {
        report.theft(...told);
        trail.theft(...told);
      },
      ended: (...told) => {
        report.ended(...told);
        trail.ended(...told);
      },
    },
  });
  return { sessions, alarms };
}
