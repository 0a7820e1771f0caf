import type { Clock } from '../core/clock.ts';
import type { GatewayMetrics } from '../observability/gateway-metrics.ts';
import type { MetricRegistry } from '../observability/metric-registry.ts';
import type { Pipeline } from '../pipeline/pipeline.ts';
import type { SessionService } from '../session/session.ts';
import type { TlsEndpoint } from '../tls/tls-endpoint.ts';
import type { GatewayStatus } from './control-api.ts';
import type { Administration } from './open-administration.ts';
import type { Regions } from './open-regions.ts';
import type { Admins } from './open-admins.ts';
import { openTraffic, type OpenTraffic } from './open-traffic.ts';
import { startOpsServer } from './ops-server.ts';
import type { PolicyInForce } from './policy-in-force.ts';
import { type RedirectServer, startRedirectServer } from './redirect-server.ts';
import { originOf } from './tls-listener.ts';

interface ListenerParts {
  readonly inForce: PolicyInForce;
  readonly pipeline: Pipeline;
  readonly sessions: SessionService;
  readonly regions: Regions;
  /** TLS of the public listener. */
  readonly endpoint: TlsEndpoint;
  readonly administration: Pick<Administration, 'openDoor'>;
  readonly registry: MetricRegistry;
  readonly metrics: GatewayMetrics;
  readonly admins: Pick<Admins, 'check' | 'guard'>;
  readonly version: string;
  readonly clock: Clock;
}

/** Where the listeners are reached, with the ports that were bound. */
export interface ListenerOrigins {
  readonly public: string;
  readonly admin: string;
  readonly ops: string;
  readonly redirect?: string;
}

/** The listeners of one gateway, bound. */
export interface OpenListeners {
  readonly listeners: ListenerOrigins;
  /** What `/readyz` says from now on. */
  setReady(isReady: boolean): void;
  status(policies: string): Promise<GatewayStatus>;
  /** Takes no new connections; those that are open go on. */
  stopAccepting(): void;
  close(): Promise<void>;
}

/**
 * Binds public, admin and ops listener by the policy in force.
 *
 * @throws the system's error when a port cannot be taken; what was bound before is closed again.
 */
export async function openListeners(parts: ListenerParts): Promise<OpenListeners> {
  const { inForce, pipeline, endpoint, registry } = parts;
  const { listen } = inForce.policy;
  const startedAt = new Date(parts.clock.now()).toISOString();
  let isReady = false;
  const ops = await startOpsServer({
    endpoint: listen.ops,
    registry,
    facility: parts.regions.door,
    readiness: () => ({
      ready: isReady,
      checks: {
        serving: isReady ? true : 'starting or draining',
        administrators: parts.admins.check(),
        regions: inForce.upstreams.nodes.some(({ healthy }) => healthy) ? true : 'no node is healthy',
      },
    }),
  });
  let traffic: OpenTraffic | undefined;
  let redirect: RedirectServer | undefined;
  const close = async () => {
    redirect?.close();
    traffic?.close();
    await ops.close();
  };
  try {
    const bound = (traffic = await openTraffic({
      policy: inForce.policy,
      pipeline,
      endpoint,
      metrics: parts.metrics,
      administration: parts.administration,
    }));
    if (listen.redirect !== undefined)
      redirect = await startRedirectServer(listen.redirect, bound.public.port);
    const listeners = {
      public: originOf('https', bound.public),
      admin: originOf('https', bound.admin),
      ops: originOf('http', ops.address),
      ...(redirect === undefined ? {} : { redirect: originOf('http', redirect.address) }),
    };
    return {
      listeners,
      setReady: (ready) => {
        isReady = ready;
      },
      status: async (policies) => ({
        version: parts.version,
        pid: process.pid,
        started_at: startedAt,
        ready: isReady,
        policies: {
          path: policies,
          loaded_at: inForce.loadedAt,
          last_reload: inForce.lastReload,
          held: parts.admins.guard.held ?? null,
        },
        listeners,
        sessions: await parts.sessions.count(),
        requests_open: pipeline.open,
        connections: bound.connections(),
        nodes: inForce.upstreams.view(),
        certificates: endpoint.snapshot.expiries.map(({ host, expiresAtMs }) => ({
          host,
          expires_at: new Date(expiresAtMs).toISOString(),
        })),
      }),
      stopAccepting: () => bound.stopAccepting(),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
