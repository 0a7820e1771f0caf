import type { AuditSink } from '../core/audit-event.ts';
import type { GatewayMetrics, RequestRecorder } from '../observability/gateway-metrics.ts';
import type { Logger } from '../observability/logger.ts';
import type { Route } from '../policy/policy.ts';
import { alarmMismatch } from './account-alarm.ts';
import { auditAdminRefusal } from './audit-report.ts';
import type { RequestContext } from './request-context.ts';
import type { PipelineReport } from './services.ts';
import { shedClass } from './shed.ts';

const VERSIONS = { 'http/1.0': '1.0', 'http/1.1': '1.1', h2: '2' } as const;

/** Statuses of the client's own making are no news for the operator; these are. */
const SERVER_ERROR = 500;

/** Turns what the pipeline reports into the access log and the metrics. */
export function createRequestReport(
  metrics: GatewayMetrics,
  logger: Logger,
  audit: Pick<AuditSink, 'note'>,
): PipelineReport {
  const byRoute = new WeakMap<Route, RequestRecorder>();
  const own = metrics.requestRecorder('-', '-');
  const recorderFor = (route: Route | undefined): RequestRecorder => {
    if (route === undefined) return own;
    const known = byRoute.get(route);
    if (known !== undefined) return known;
    const recorder = metrics.requestRecorder(route.name, route.access);
    byRoute.set(route, recorder);
    return recorder;
  };
  const streams = {
    websocket: metrics.streamsActive.child({ kind: 'websocket' }),
    sse: metrics.streamsActive.child({ kind: 'sse' }),
  };
  return {
    finished: (context, sentBytes, complete) => {
      const { failure } = context;
      const route = context.route ?? context.hidden;
      const { gatewayMs, upstreamMs } = times(context);
      recorderFor(route).record(
        context.status,
        gatewayMs / 1000,
        upstreamMs === undefined ? undefined : upstreamMs / 1000,
      );
      countRefusal(metrics, context);
      if (failure?.code === 'account_mismatch') alarmMismatch(metrics, logger, audit, context);
      if (context.hidden !== undefined) auditAdminRefusal(audit, context.hidden, context);
      logger.access(accessLine(context, sentBytes, complete, gatewayMs, upstreamMs));
      if (failure !== undefined && failure.status >= SERVER_ERROR) {
        logger.warn('request failed', { id: context.requestId, error: failure });
      }
    },
    stream: (kind, change) => streams[kind].inc(change),
    failover: (region, node) => {
      metrics.failovers.inc();
      logger.warn('a node cannot be connected to', { region, node });
    },
    notice: (message, facts) => logger.warn(message, facts),
  };
}

function accessLine(
  context: RequestContext,
  bytesOut: number,
  complete: boolean,
  gatewayMs: number,
  upstreamMs: number | undefined,
) {
  const node = context.forwarding?.node;
  return {
    requestId: context.requestId,
    method: context.method,
    host: context.host,
    path: context.path,
    search: context.search,
    status: context.status,
    bytesIn: context.forwarding?.receivedBytes ?? 0,
    bytesOut,
    gatewayMs,
    upstreamMs,
    clientAddress: context.clientAddress,
    protocol: VERSIONS[context.message.protocol],
    route: (context.route ?? context.hidden)?.name,
    account: context.account,
    sessionId: context.session?.id,
    subjectHash: undefined,
    region: node?.region,
    node: node?.origin,
    code: context.failure?.code,
    complete,
  };
}

/** Time in the gateway up to the head of the answer, and the wait for the upstream's head. */
function times(context: RequestContext): { gatewayMs: number; upstreamMs: number | undefined } {
  const { forwarding, startMs } = context;
  if (forwarding === undefined || forwarding.headMs === 0) {
    const until = forwarding === undefined ? performance.now() : forwarding.dispatchedMs;
    return { gatewayMs: until - startMs, upstreamMs: undefined };
  }
  const upstreamMs = forwarding.headMs - forwarding.dispatchedMs;
  // An answer that the gateway held back, because the session ended under way, never opened.
  const openedMs = forwarding.openedMs === 0 ? performance.now() : forwarding.openedMs;
  return { gatewayMs: openedMs - startMs - upstreamMs, upstreamMs };
}

function countRefusal(metrics: GatewayMetrics, context: RequestContext): void {
  const { failure, hidden, refusedBy } = context;
  if (failure === undefined) return;
  if (failure.code.startsWith('key_')) metrics.apiKeysRejected.child({ code: failure.code }).inc();
  if (failure.code === 'rate_limited' || failure.code === 'sign_in_blocked')
    metrics.rateLimited.child({ limit: refusedBy ?? 'anonymous' }).inc();
  if (failure.code === 'overloaded') metrics.overloadShed.child({ class: shedClass(context) }).inc();
  if (hidden !== undefined) metrics.adminsDenied.child({ reason: 'public_listener' }).inc();
}
