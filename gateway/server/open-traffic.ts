import { growYoungSpaceAtOnce } from '../core/young-space.ts';
import type { AddressInfo } from 'node:net';

import type { GatewayMetrics } from '../observability/gateway-metrics.ts';
import type { Pipeline } from '../pipeline/pipeline.ts';
import type { Policy } from '../policy/policy.ts';
import type { Exchange } from '../proxy/exchange.ts';
import { createTicketSecret } from '../tls/ticket-keys.ts';
import { TlsEndpoint } from '../tls/tls-endpoint.ts';
import type { AdminDoor } from './admin-door.ts';
import { ClientConnections } from './client-connections.ts';
import type { MessageHandler } from './http1-server.ts';
import type { Administration } from './open-administration.ts';
import { TlsListener } from './tls-listener.ts';

/** What serves the traffic. */
export interface TrafficParts {
  readonly policy: Policy;
  readonly pipeline: Pipeline;
  /** TLS of the public listener. */
  readonly endpoint: TlsEndpoint;
  /** Counts what is refused. */
  readonly metrics: Pick<GatewayMetrics, 'connectionsRefused'>;
  /** What stands behind the admin listener. */
  readonly administration: Pick<Administration, 'openDoor'>;
  /** Set in a worker: the addresses that all workers listen on, and how many of them share the node's limits. */
  readonly shared?:
    | {
        readonly public: { readonly address: string; readonly port: number };
        readonly admin: { readonly address: string; readonly port: number };
        readonly share: number;
      }
    | undefined;
}

/** The listeners that take people's traffic, bound. */
export interface OpenTraffic {
  readonly public: AddressInfo;
  readonly admin: AddressInfo;
  readonly connections: () => number;
  /** Connections of the public listener by client. */
  readonly clients: ClientConnections;
  /** Takes no new connections; those that are open go on. */
  stopAccepting(): void;
  close(): void;
}

/**
 * Binds public and admin listener.
 *
 * @throws the system's error when a port cannot be taken; what was bound before is closed again.
 */
export async function openTraffic(parts: TrafficParts): Promise<OpenTraffic> {
  growYoungSpaceAtOnce();
  const { policy, pipeline, endpoint, shared } = parts;
  const reusePort = shared !== undefined;
  const limits = {
    ...policy.protection,
    connections: Math.ceil(policy.protection.connections / (shared?.share ?? 1)),
  };
  const handler = {
    handle: (exchange: Exchange) => pipeline.handle(exchange),
    upgrade: (...handshake: Parameters<MessageHandler['upgrade']>) => pipeline.upgrade(...handshake),
  };
  const clients = clientsOf(policy);
  const publicListener = new TlsListener({
    tls: endpoint.serverOptions(),
    limits,
    handler,
    clients,
    proxies: policy.listen.public.proxyProtocol ? policy.trustedProxies : undefined,
    refused: (reason) => parts.metrics.connectionsRefused.child({ reason }).inc(),
  });
  endpoint.bind(publicListener.server);
  const door = parts.administration.openDoor(pipeline);
  const adminListener = createAdminListener(parts, door);
  const close = () => {
    door.close();
    adminListener.close();
    publicListener.close();
  };
  try {
    return {
      admin: await adminListener.listen({ ...(shared?.admin ?? policy.listen.admin), reusePort }),
      public: await publicListener.listen({ ...(shared?.public ?? policy.listen.public), reusePort }),
      connections: () => publicListener.connections,
      clients,
      stopAccepting: () => {
        publicListener.stopAccepting();
        adminListener.stopAccepting();
      },
      close,
    };
  } catch (error) {
    close();
    throw error;
  }
}

/** The admin listener: its handshake asks for a client certificate, and the door behind it judges what came. */
function createAdminListener({ endpoint, policy }: TrafficParts, door: AdminDoor): TlsListener {
  const admin = new TlsEndpoint({
    listener: 'admin',
    snapshot: endpoint.snapshot,
    ticketSecret: createTicketSecret(),
    asksForCertificate: true,
  });
  admin.follow(endpoint);
  const listener = new TlsListener({
    tls: admin.serverOptions(),
    limits: policy.protection,
    handler: door,
    clients: clientsOf(policy),
    admit: (socket) => door.admit(socket),
    failed: (error, socket) => door.failed(error, socket),
  });
  admin.bind(listener.server);
  return listener;
}

/** Each listener counts for itself: who floods the public one keeps nobody from the other. */
function clientsOf({ protection, trustedProxies }: Policy): ClientConnections {
  return new ClientConnections({ perClient: protection.connectionsPerClient, trustedProxies });
}
