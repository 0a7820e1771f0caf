import type { AuditSink } from '../core/audit-event.ts';
import type { GatewayMetrics } from '../observability/gateway-metrics.ts';
import type { Logger } from '../observability/logger.ts';
import type { RequestContext } from './request-context.ts';

/**
 * Raises the alarm: nobody's browser sends a session to another account's host by itself, and no program is given a key
 * for one and a host of another.
 */
export function alarmMismatch(
  metrics: GatewayMetrics,
  logger: Logger,
  audit: Pick<AuditSink, 'note'>,
  { foreign, requestId, account: asked }: RequestContext,
): void {
  if (foreign === undefined) return;
  const { kind, id, account } = foreign;
  metrics.accountMismatches.child({ kind }).inc();
  const who = kind === 'session' ? { sessionId: id } : { keyId: id };
  logger.warn('a session or key was used on another account', { id: requestId, ...who, account, asked });
  const facts = { [kind === 'session' ? 'session' : 'key']: id, account, asked };
  audit.note({ event: 'account.mismatch', facts, repeats: id });
}
