import type { Environment } from '../config/environment.ts';
import type { AuditSink } from '../core/audit-event.ts';
import type { Clock } from '../core/clock.ts';
import type { Keyring } from '../crypto/keyring.ts';
import type { GatewayMetrics } from '../observability/gateway-metrics.ts';
import type { Logger } from '../observability/logger.ts';
import type { MetricRegistry } from '../observability/metric-registry.ts';
import { collectKeys } from '../pipeline/key-report.ts';
import type { Policy } from '../policy/policy.ts';
import type { LimitStore } from '../rate-limit/limit-store.ts';
import type { SharedCounts } from '../rate-limit/shared-counts.ts';
import type { SessionService } from '../session/session.ts';
import type { CertificateLoad } from '../tls/certificate-store.ts';
import type { RecordStore } from '../store/record-store.ts';
import type { TicketSecrets } from '../tls/ticket-secrets.ts';
import type { ControlOperations } from './control-api.ts';
import { keyOperations } from './control-keys.ts';
import type { ApiKeys } from './open-keys.ts';

/** What every process of a gateway stands on, whatever it does: serve alone, supervise, or be a worker. */
export interface Foundation {
  /** The directory of keys, certificates and the control socket. */
  readonly data: string;
  readonly environment: Environment;
  readonly version: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly registry: MetricRegistry;
  readonly metrics: GatewayMetrics;
  readonly keyring: Keyring;
  /** Where security events are written down. */
  readonly audit: AuditSink;
  readonly sessions: SessionService;
  readonly apiKeys: ApiKeys;
  /** The gateway's own state, shared by all processes and nodes. */
  readonly records: RecordStore;
  /** Where several gateways count together; absent where this node counts alone. */
  readonly limits: LimitStore | undefined;
  /** Where counts of limits go beyond this process. */
  readonly counts: SharedCounts | undefined;
  /** What session tickets hang on; a worker has the one of its supervisor instead. */
  readonly tickets: TicketSecrets;
  loadCertificates(policy: Policy): Promise<CertificateLoad>;
}

/** Reports on a failure of work that nobody waits for. */
export function reportFailure({ logger }: Foundation, message: string): (error: unknown) => void {
  return (error) => logger.error(message, { error });
}

/** What the control socket can do to sessions and API keys. */
export function principalOperations({
  sessions,
  apiKeys,
}: Foundation): Omit<ControlOperations, 'status' | 'reload'> {
  return {
    listSessions: (filter) => sessions.list(filter),
    revokeSession: (id) => sessions.endById(id, 'revoked'),
    revokePerson: (account, subject) => sessions.endPerson(account, subject, 'revoked'),
    credentialsChanged: (account, subject) => apiKeys.credentials.changed(account, subject),
    ...keyOperations(apiKeys),
  };
}

/** Sets the gauges of sessions and keys before each scrape; they are the node's, so one process of it does. */
export function collectPrincipals({ registry, metrics, sessions, apiKeys }: Foundation): void {
  registry.onCollect(async () => metrics.sessionsActive.set(await sessions.count()));
  registry.onCollect(async () => collectKeys(metrics, await apiKeys.service.census()));
}

/** How to trust a self-signed certificate, for the one who starts the gateway; `undefined` when there is none. */
export function trustOf(
  authority: { readonly caFile: string; readonly howToTrust: string } | undefined,
): { readonly caFile: string; readonly text: string } | undefined {
  return authority === undefined ? undefined : { caFile: authority.caFile, text: authority.howToTrust };
}
