import { AdminRegister } from '../admin/admin-register.ts';
import type { AuditSink } from '../core/audit-event.ts';
import type { Clock } from '../core/clock.ts';
import type { Keyring } from '../crypto/keyring.ts';
import type { GatewayMetrics } from '../observability/gateway-metrics.ts';
import type { Logger } from '../observability/logger.ts';
import type { MetricRegistry } from '../observability/metric-registry.ts';
import type { Policy } from '../policy/policy.ts';
import type { RecordStore } from '../store/record-store.ts';
import { every } from './closers.ts';

/** The two administrators of one process, and what both must agree to. */
export interface Admins {
  readonly list: AdminRegister;
  /** Follows a policy: its `admins` are a wish, not an order. Never throws. */
  configure(policy: Policy): void;
  /** What `/readyz` says of it: `true`, or a sentence. It makes no node unfit for traffic. */
  check(): true | string;
  close(): void;
}

/** What the administrators of a process stand on. */
export interface AdminOptions {
  readonly policy: Policy;
  readonly data: string;
  readonly records: RecordStore;
  readonly keyring: Keyring;
  readonly clock: Clock;
  readonly audit: AuditSink;
  readonly metrics: GatewayMetrics;
  readonly registry: MetricRegistry;
  readonly logger: Logger;
}

const TICK_MS = 1000;

/**
 * Opens the list of administrators; on the very first start the two of the policy are enrolled.
 *
 * @throws GatewayError `store_unavailable`, `audit_unavailable`.
 */
export async function openAdmins(options: AdminOptions): Promise<Admins> {
  const { policy, metrics, registry, logger } = options;
  const list = await AdminRegister.open(
    { ...options, notice: (level, message, facts) => logger[level](message, facts) },
    policy.admins,
  );
  registry.onCollect(() => {
    metrics.admins.set(list.administrators.length);
    metrics.adminsPolicyDiffers.set(list.proposed === undefined ? 0 : 1);
  });
  const stop = every(TICK_MS, () => list.tick());
  return {
    list,
    configure: (next) => {
      list.configure(next.admins).catch((error: unknown) => {
        logger.error('the administrators of the policy could not be enrolled', { error });
      });
    },
    check: () => {
      if (list.fault !== undefined) return `nobody is let in as administrator: ${list.fault}`;
      if (list.proposed === undefined) return true;
      return 'the policy names other administrators than those in force; zasov admins propose replace_administrators';
    },
    close: () => {
      stop();
      list.close();
    },
  };
}
