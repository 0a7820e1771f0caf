import { administrationMetrics } from './administration-metrics.ts';
import { backupMetrics } from './backup-metrics.ts';
import type { Counter, Histogram } from './metric-child.ts';
import { loadMetrics } from './load-metrics.ts';
import type { MetricRegistry } from './metric-registry.ts';

/** From a tenth of a millisecond, which the gateway itself takes, to the upstream's time-out. */
const SECONDS = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60,
];

/** Counts requests of one route. */
export interface RequestRecorder {
  /**
   * Counts one finished request.
   *
   * @param gatewaySeconds time in the gateway itself, without the wait for the upstream.
   * @param upstreamSeconds time until the upstream's answer began; `undefined` when it was not asked.
   */
  record(status: number, gatewaySeconds: number, upstreamSeconds: number | undefined): void;
}

/** The metrics of the contract, declared; whoever knows a fact sets or counts it. */
export type GatewayMetrics = ReturnType<typeof createGatewayMetrics>;

/** Declares the gateway's metrics. Call it once for each registry. */
export function createGatewayMetrics(registry: MetricRegistry) {
  const requests = registry.counter({
    name: 'zasov_requests_total',
    help: 'Requests answered, by route, access and status.',
    labels: ['route', 'access', 'status'],
    childLimit: 5000,
  });
  const requestSeconds = registry.histogram({
    name: 'zasov_request_seconds',
    help: 'Time of a request: spent in the gateway itself, and waiting for the upstream to begin its answer.',
    labels: ['part'],
    buckets: SECONDS,
  });
  const parts = {
    gateway: requestSeconds.child({ part: 'gateway' }),
    upstream: requestSeconds.child({ part: 'upstream' }),
  };
  return {
    /** A recorder for a route; keep it, since it holds the look-ups. */
    requestRecorder: (route: string, access: string): RequestRecorder =>
      requestRecorder((status) => requests.child({ route, access, status }), parts),
    ...sessionMetrics(registry),
    ...administrationMetrics(registry),
    ...limitMetrics(registry),
    ...keyMetrics(registry),
    ...regionMetrics(registry),
    ...operationMetrics(registry),
    ...loadMetrics(registry),
    ...backupMetrics(registry),
  };
}

function sessionMetrics(registry: MetricRegistry) {
  return {
    sessionsActive: registry
      .gauge({ name: 'zasov_sessions_active', help: 'Signed-in sessions that are alive.' })
      .child({}),
    sessionRotations: registry
      .counter({
        name: 'zasov_session_rotations_total',
        help: 'Session identifiers issued in place of others.',
      })
      .child({}),
    sessionGraceHits: registry
      .counter({
        name: 'zasov_session_grace_hits_total',
        help: 'Requests with an identifier in its grace time.',
      })
      .child({}),
    sessionThefts: registry.counter({
      name: 'zasov_session_theft_total',
      help: 'Sessions ended because two parties held them, by what gave it away.',
      labels: ['kind'],
    }),
  };
}

function limitMetrics(registry: MetricRegistry) {
  return {
    rateLimited: registry.counter({
      name: 'zasov_rate_limited_total',
      help: 'Requests refused by a limit.',
      labels: ['limit'],
    }),
    budgetBytes: registry.counter({
      name: 'zasov_response_bytes_total',
      help: 'Bytes of answers that were drawn from budgets, by limit.',
      labels: ['limit'],
    }),
    budgetsSpent: registry.counter({
      name: 'zasov_budgets_spent_total',
      help: 'Budgets of answer bytes that somebody used up, by limit.',
      labels: ['limit'],
    }),
    signInFailures: registry
      .counter({ name: 'zasov_sign_in_failures_total', help: 'Sign-ins that failed.' })
      .child({}),
    signInBlocks: registry.counter({
      name: 'zasov_sign_in_blocks_total',
      help: 'Times that sign-in was closed after too many failures, by what was counted.',
      labels: ['by'],
    }),
    accountMismatches: registry.counter({
      name: 'zasov_account_mismatch_total',
      help: 'Requests with a session or key of another account.',
      labels: ['kind'],
    }),
  };
}

function keyMetrics(registry: MetricRegistry) {
  return {
    apiKeys: registry.gauge({ name: 'zasov_api_keys', help: 'API keys, by state.', labels: ['state'] }),
    apiKeysExpiring: registry.gauge({
      name: 'zasov_api_keys_expiring',
      help: 'API keys that work and end within so many days.',
      labels: ['days'],
    }),
    apiKeysRejected: registry.counter({
      name: 'zasov_api_key_rejected_total',
      help: 'API calls refused for their key, by code.',
      labels: ['code'],
    }),
    apiKeyRotations: registry.counter({
      name: 'zasov_api_key_rotations_total',
      help: 'API keys that got a successor, by what made them.',
      labels: ['reason'],
    }),
    apiKeyReplays: registry
      .counter({
        name: 'zasov_api_key_replays_total',
        help: 'Calls with the secret of a key that was rotated or revoked: somebody still has it.',
      })
      .child({}),
    apiKeyNotices: registry.counter({
      name: 'zasov_api_key_notices_total',
      help: 'Notices of keys that were sent to the webhook, by result.',
      labels: ['result'],
    }),
  };
}

function regionMetrics(registry: MetricRegistry) {
  return {
    regionHealthy: registry.gauge({
      name: 'zasov_region_healthy',
      help: 'Whether a region has a node that answers (1) or none (0).',
      labels: ['region'],
    }),
    nodeHealthy: registry.gauge({
      name: 'zasov_node_healthy',
      help: 'Whether a node passes its health checks.',
      labels: ['region', 'node'],
    }),
    nodeRole: registry.gauge({
      name: 'zasov_node_role',
      help: 'What a node counts as: primary, replica, or fenced (a primary that is not trusted). Always 1.',
      labels: ['region', 'node', 'role'],
    }),
    highestEpoch: registry
      .gauge({ name: 'zasov_primary_epoch', help: 'The highest epoch that any node named since the start.' })
      .child({}),
    primaryConflict: registry
      .gauge({
        name: 'zasov_primary_conflict',
        help: 'Whether two nodes call themselves primary in one epoch, so that changes are refused.',
      })
      .child({}),
    primaryWaits: registry.counter({
      name: 'zasov_primary_waits_total',
      help: 'Requests that waited for a primary, by result.',
      labels: ['result'],
    }),
    replicationLag: registry.gauge({
      name: 'zasov_replication_lag_seconds',
      help: 'How far the copies of a region are behind, by what its nodes say; the worst of them.',
      labels: ['region'],
    }),
    healthChecksFailed: registry.counter({
      name: 'zasov_health_checks_failed_total',
      help: 'Health checks that failed, by what went wrong.',
      labels: ['region', 'node', 'kind'],
    }),
    upstreamErrors: registry.counter({
      name: 'zasov_upstream_errors_total',
      help: 'Requests that failed at a node, by what went wrong.',
      labels: ['region', 'node', 'kind'],
    }),
    nodeEjections: registry.counter({
      name: 'zasov_node_ejections_total',
      help: 'Times a node was left out because requests kept failing at it.',
      labels: ['region', 'node'],
    }),
    retriesRefused: registry
      .counter({
        name: 'zasov_retries_refused_total',
        help: 'Requests that were not tried again because a fifth of all requests were being tried again.',
      })
      .child({}),
    regionCondition: registry.gauge({
      name: 'zasov_region_condition',
      help: 'The condition of a region: 1 for the one in force (open, avoided, draining, sealed).',
      labels: ['region', 'condition'],
    }),
    facilitySignals: registry.counter({
      name: 'zasov_facility_signals_total',
      help: 'Signals of data centres, by region, type and what became of them.',
      labels: ['region', 'type', 'result'],
    }),
    failovers: registry
      .counter({ name: 'zasov_failovers_total', help: 'Requests that another node took over.' })
      .child({}),
    streamsActive: registry.gauge({
      name: 'zasov_streams_active',
      help: 'Open WebSockets and event streams.',
      labels: ['kind'],
    }),
  };
}

function operationMetrics(registry: MetricRegistry) {
  return {
    certificateExpiry: registry.gauge({
      name: 'zasov_certificate_expiry_timestamp_seconds',
      help: 'When the certificate of a host ends, as Unix time.',
      labels: ['host'],
      childLimit: 20_000,
    }),
    policyReloads: registry.counter({
      name: 'zasov_policy_reloads_total',
      help: 'Policy sets loaded while running, by result.',
      labels: ['result'],
    }),
    storeSeconds: registry.histogram({
      name: 'zasov_store_seconds',
      help: 'Time of an operation of the session store.',
      labels: ['operation'],
      buckets: SECONDS,
    }),
    storeUnreplicated: registry
      .counter({
        name: 'zasov_store_unreplicated_total',
        help: 'Ends of sessions that no replica of the store had in time, though there are replicas.',
      })
      .child({}),
    auditEntries: registry
      .counter({ name: 'zasov_audit_entries_total', help: 'Records written to the audit trail.' })
      .child({}),
    auditLost: registry
      .counter({
        name: 'zasov_audit_lost_total',
        help: 'Security events that will never be on record, because the audit trail could not be written.',
      })
      .child({}),
    auditFailures: registry
      .counter({ name: 'zasov_audit_failures_total', help: 'Writes to the audit trail that failed.' })
      .child({}),
    logLinesDropped: registry
      .counter({ name: 'zasov_log_lines_dropped_total', help: 'Log lines lost because nobody read the log.' })
      .child({}),
  };
}

function requestRecorder(
  counterFor: (status: string) => Counter,
  parts: { readonly gateway: Histogram; readonly upstream: Histogram },
): RequestRecorder {
  const byStatus = new Map<number, Counter>();
  return {
    record(status, gatewaySeconds, upstreamSeconds) {
      let counter = byStatus.get(status);
      if (!counter) {
        counter = counterFor(status >= 100 && status <= 599 ? String(status) : 'other');
        byStatus.set(status, counter);
      }
      counter.inc();
      parts.gateway.observe(gatewaySeconds);
      if (upstreamSeconds !== undefined) parts.upstream.observe(upstreamSeconds);
    },
  };
}
