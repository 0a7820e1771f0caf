import type { Clock } from '../core/clock.ts';
import type { GatewayMetrics } from '../observability/gateway-metrics.ts';
import type { AlarmBook } from './alarm-book.ts';
import type { SessionObserver } from '../session/session.ts';

/** Writes one structured line; never a secret. */
export type Notice = (level: 'info' | 'warn', message: string, facts: Record<string, unknown>) => void;

/** An operator is told of lagging replicas once in this time, however many sessions end. */
const UNREPLICATED_EVERY_MS = 60_000;

/** Counts ends that stand on one server only: if it dies now, it is for the gateways' replay to end them again. */
export function reportUnreplicated(metrics: GatewayMetrics, clock: Clock, notice: Notice): () => void {
  let toldMs = Number.NEGATIVE_INFINITY;
  return () => {
    metrics.storeUnreplicated.inc();
    if (clock.now() - toldMs < UNREPLICATED_EVERY_MS) return;
    toldMs = clock.now();
    notice('warn', 'no replica of the store confirms what was written; look at its replication', {});
  };
}

/** Turns what the session service reports into metrics, log lines and alarms for the person. */
export function observeSessions(
  metrics: GatewayMetrics,
  notice: Notice,
  alarms: Pick<AlarmBook, 'note'>,
): SessionObserver {
  const storeSeconds = metrics.storeSeconds.child({ operation: 'session' });
  return {
    rotated: () => metrics.sessionRotations.inc(),
    graceHit: () => metrics.sessionGraceHits.inc(),
    theft: (kind, { id, account, subject }) => {
      metrics.sessionThefts.child({ kind }).inc();
      // A crash that set a browser back by one id looks like theft and is none.
      const isAlarm = kind !== 'crash_regress';
      if (isAlarm && subject !== undefined)
        alarms.note(account, subject, kind === 'context' ? 'moved' : 'theft');
      notice(isAlarm ? 'warn' : 'info', isAlarm ? 'session theft' : 'session set back by a crash', {
        kind,
        sessionId: id,
        account,
      });
    },
    ended: (reason, id) => notice('info', 'session ended', { reason, sessionId: id }),
    storeSeconds: (seconds) => storeSeconds.observe(seconds),
  };
}
