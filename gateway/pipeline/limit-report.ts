import type { AuditSink } from '../core/audit-event.ts';
import type { GatewayMetrics } from '../observability/gateway-metrics.ts';
import type { Counter } from '../observability/metric-child.ts';
import type { Logger } from '../observability/logger.ts';
import type { LimitedBy } from '../policy/policy.ts';
import type { FailuresBy, SignInBlock } from '../rate-limit/sign-in-limit.ts';
import type { RequestContext } from './request-context.ts';

/** Where limits report what somebody should read. Must not throw and must not block. */
export interface LimitReport {
  /** Bytes of an answer were drawn from a budget. */
  spent(limit: string, bytes: number): void;
  /** A budget of answer bytes is used up; told once in its window. */
  budgetSpent(context: RequestContext, limit: string, by: LimitedBy): void;
  /** An attempt to sign in failed. */
  signInFailed(): void;
  /** Too many failed: the door closed for a client, a name, an account or a known device. */
  signInBlocked(context: RequestContext, limit: string, by: FailuresBy, block: SignInBlock): void;
}

/** Turns what limits report into metrics, log lines and the audit trail. */
export function createLimitReport(metrics: GatewayMetrics, logger: Logger, audit: AuditSink): LimitReport {
  const bytesByLimit = new Map<string, Counter>();
  return {
    spent: (limit, bytes) => {
      let counter = bytesByLimit.get(limit);
      if (counter === undefined) bytesByLimit.set(limit, (counter = metrics.budgetBytes.child({ limit })));
      counter.inc(bytes);
    },
    budgetSpent: (context, limit, by) => {
      metrics.budgetsSpent.child({ limit }).inc();
      const { account, session, key } = context;
      const facts = { limit, by, account, session: session?.id, key: key?.id };
      logger.warn('a budget of answer bytes is used up', {
        id: context.requestId,
        limit,
        by,
        account,
        sessionId: session?.id,
        keyId: key?.id,
      });
      audit.note({ event: 'budget.spent', facts, person: personOf(context), repeats: `${limit} ${by}` });
    },
    signInFailed: () => metrics.signInFailures.inc(),
    signInBlocked: (context, limit, by, { nth, forMs }) => {
      metrics.signInBlocks.child({ by }).inc();
      const facts = { limit, by, account: context.account, nth, block_seconds: Math.ceil(forMs / 1000) };
      logger.warn('too many sign-ins failed', { id: context.requestId, ...facts });
      audit.note({ event: 'sign_in.blocked', facts, repeats: `${context.account} ${by}` });
    },
  };
}

function personOf({ account, subject }: RequestContext): { account: string; subject: string } | undefined {
  return subject === undefined ? undefined : { account, subject };
}
