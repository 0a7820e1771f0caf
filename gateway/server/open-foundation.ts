import { openSync } from 'node:fs';
import { join } from 'node:path';

import { systemClock } from '../core/clock.ts';
import { createGatewayMetrics } from '../observability/gateway-metrics.ts';
import { bufferedDestination } from '../observability/log-destination.ts';
import { createLogger } from '../observability/logger.ts';
import { MetricRegistry } from '../observability/metric-registry.ts';
import { collectProcessMetrics } from '../observability/process-metrics.ts';
import { reportUnreplicated } from '../pipeline/session-report.ts';
import type { Policy } from '../policy/policy.ts';
import { shareCounting } from './open-limits.ts';
import { familyTransitions } from '../session/rotate.ts';
import { openStore } from '../store/open-store.ts';
import { TicketSecrets } from '../tls/ticket-secrets.ts';
import { shareTickets } from '../tls/ticket-store.ts';
import type { Closers } from './closers.ts';
import type { EndRelay } from './end-relay.ts';
import { certificateLoader, type Foundation } from './foundation.ts';
import { openAdmins } from './open-admins.ts';
import { openAudit } from './open-audit.ts';
import { openKeys } from './open-keys.ts';
import { carryOutUnseals, openRegions } from './open-regions.ts';
import { openSessions } from './open-sessions.ts';
import { readKeyring } from './read-keyring.ts';
import type { GatewayOptions } from './running-gateway.ts';

/**
 * Builds what every process of the gateway stands on.
 *
 * @param closers takes what has to be closed. @param relay set where several processes share the store.
 * @throws GatewayError for a key or a store that cannot be used.
 */
export async function openFoundation(
  options: GatewayOptions,
  policy: Policy,
  closers: Closers,
  relay?: EndRelay,
): Promise<Foundation> {
  const { data, environment, clock = systemClock, version } = options;
  const logTo = options.logFile === undefined ? undefined : openSync(join(data, options.logFile), 'a', 0o600);
  const destination = bufferedDestination(logTo, relay !== undefined);
  const logger = createLogger({ level: policy.logLevel, clock, destination });
  const registry = new MetricRegistry();
  const metrics = createGatewayMetrics(registry);
  closers.push(collectProcessMetrics(registry));
  const keyring = await readKeyring(policy, data, environment);
  const audit = openAudit({ ...options, policy, clock, metrics, logger, keyring, relay });
  closers.push(() => audit.close());
  const opened = await openStore({
    choice: policy.store,
    data,
    environment,
    transitions: familyTransitions,
    clock,
    onUnreplicated: reportUnreplicated(metrics, clock, (level, message, facts) =>
      logger[level](message, facts),
    ),
  });
  const { store, keys: keyStore, records, connection } = opened;
  closers.push(() => opened.close());
  const base = { policy, records, keyring, clock, metrics, logger, audit };
  const { sessions, alarms } = openSessions({ ...base, store, relay });
  closers.push(() => sessions.close());
  const tickets = new TicketSecrets({ clock, logger, store: shareTickets(connection, keyring) });
  const facts = { data, environment, version, clock, logger, registry, metrics, tickets, records, alarms };
  const apiKeys = await openKeys({ ...facts, policy, keyStore, keyring, sessions, audit });
  closers.push(() => apiKeys.close());
  const regions = await openRegions({ ...facts, policy, keyring, audit });
  closers.push(() => regions.close());
  const admins = await openAdmins({
    ...facts,
    policy,
    keyring,
    audit,
    firstAdministrators: options.firstAdministrators,
  });
  closers.push(() => admins.close());
  carryOutUnseals(regions, admins.approvals, audit);
  return {
    ...facts,
    keyring,
    audit,
    sessions,
    apiKeys,
    keyStore,
    regions,
    admins,
    loadCertificates: certificateLoader(data, keyring, clock),
    ...shareCounting(opened, keyring, relay !== undefined),
  };
}
