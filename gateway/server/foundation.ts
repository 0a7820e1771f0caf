import { join } from 'node:path';

import type { Environment } from '../config/environment.ts';
import type { AuditSink } from '../core/audit-event.ts';
import type { Clock } from '../core/clock.ts';
import type { Keyring } from '../crypto/keyring.ts';
import type { GatewayMetrics } from '../observability/gateway-metrics.ts';
import type { Logger } from '../observability/logger.ts';
import type { MetricRegistry } from '../observability/metric-registry.ts';
import type { AlarmBook } from '../pipeline/alarm-book.ts';
import { collectKeys } from '../pipeline/key-report.ts';
import type { Policy } from '../policy/policy.ts';
import type { LimitStore } from '../rate-limit/limit-store.ts';
import type { SharedCounts } from '../rate-limit/shared-counts.ts';
import type { SessionService } from '../session/session.ts';
import { type CertificateLoad, loadCertificates } from '../tls/certificate-store.ts';
import { sealedKeyFiles } from '../store/key-file.ts';
import type { RecordStore } from '../store/record-store.ts';
import type { TicketSecrets } from '../tls/ticket-secrets.ts';
import type { TlsEndpoint } from '../tls/tls-endpoint.ts';
import type { Admins } from './open-admins.ts';
import type { ControlOperations } from './control-api.ts';
import type { BackupOperations } from './control-backup.ts';
import { keyOperations } from './key-operations.ts';
import { approvalsView, revokeCertificates } from './admin-api.ts';
import { regionOperations } from './control-regions.ts';
import type { ApiKeys } from './open-keys.ts';
import type { Regions } from './open-regions.ts';

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
  /** What people see on their account page. */
  readonly alarms: AlarmBook;
  readonly admins: Admins;
  /** The gateway's own state, shared by all processes and nodes. */
  readonly records: RecordStore;
  /** Conditions of regions, and the door for signals. */
  readonly regions: Regions;
  /** Where several gateways count together; absent where this node counts alone. */
  readonly limits: LimitStore | undefined;
  /** Where counts of limits go beyond this process. */
  readonly counts: SharedCounts | undefined;
  /** What session tickets hang on; a worker has the one of its supervisor instead. */
  readonly tickets: TicketSecrets;
  loadCertificates(policy: Policy): Promise<CertificateLoad>;
}

/** How the certificates of a policy are loaded: those of its own authority live in the data directory. */
export function certificateLoader(
  data: string,
  keyring: Keyring,
  clock: Clock,
): Foundation['loadCertificates'] {
  const keys = sealedKeyFiles(keyring);
  const directory = join(data, 'tls');
  return ({ tls: { certificates: origins, profile } }) =>
    loadCertificates({ origins, profile, directory, keys, clock });
}

/** Reports on a failure of work that nobody waits for. */
export function reportFailure({ logger }: Foundation, message: string): (error: unknown) => void {
  return (error) => logger.error(message, { error });
}

/** What the control socket can do to sessions, API keys and regions. */
export function principalOperations({
  sessions,
  apiKeys,
  admins,
  regions,
  audit,
}: Foundation): Omit<ControlOperations, 'status' | 'reload' | keyof BackupOperations> {
  return {
    listSessions: async (filter) => {
      const people = await sessions.list(filter);
      // Without a name to look for, that was everybody.
      if (filter.account === undefined || filter.subject === undefined) return people;
      return [...people, ...(await sessions.list({ ...filter, kind: 'administrator' }))];
    },
    revokeSession: async (id) => {
      const isRevoked = await sessions.endById(id, 'revoked');
      audit.note({ event: 'operator.sessions_revoked', facts: { session: id, sessions: isRevoked ? 1 : 0 } });
      return isRevoked;
    },
    revokePerson: async (account, subject) => {
      const people = await sessions.endPerson(account, subject, 'revoked');
      const count = people + (await sessions.endAdministrator(account, subject, 'revoked'));
      const facts = { account, sessions: count };
      audit.note({ event: 'operator.sessions_revoked', facts, person: { account, subject } });
      return count;
    },
    credentialsChanged: (account, subject) => apiKeys.credentials.changed(account, subject),
    ...keyOperations(apiKeys, audit),
    listAdmins: () => approvalsView(admins),
    revokeCertificates: (body) => revokeCertificates(admins, 'control socket', body),
    ...regionOperations({ regions, audit }),
  };
}

/** Sets the gauges of sessions, keys and regions before each scrape; they are the node's, so one process of it does. */
export function collectPrincipals({ registry, metrics, sessions, apiKeys, regions }: Foundation): void {
  registry.onCollect(() => regions.collect());
  registry.onCollect(async () => metrics.sessionsActive.set(await sessions.count()));
  registry.onCollect(async () => collectKeys(metrics, await apiKeys.service.census()));
}

/** Sets the gauges of nodes and certificates before each scrape; each process that serves has its own view of them. */
export function collectTraffic(
  { registry, metrics }: Foundation,
  inForce: { collectHealth(): void },
  endpoint: TlsEndpoint,
): void {
  registry.onCollect(() => {
    inForce.collectHealth();
    for (const { host, expiresAtMs } of endpoint.snapshot.expiries) {
      metrics.certificateExpiry.child({ host }).set(Math.floor(expiresAtMs / 1000));
    }
  });
}

/** How to trust a self-signed certificate, for the one who starts the gateway; `undefined` when there is none. */
export function trustOf(
  authority: { readonly caFile: string; readonly howToTrust: string } | undefined,
): { readonly caFile: string; readonly text: string } | undefined {
  return authority === undefined ? undefined : { caFile: authority.caFile, text: authority.howToTrust };
}
