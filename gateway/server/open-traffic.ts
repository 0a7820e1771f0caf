import type { AddressInfo } from 'node:net';

import type { Pipeline } from '../pipeline/pipeline.ts';
import type { Policy } from '../policy/policy.ts';
import { createTicketSecret } from '../tls/ticket-keys.ts';
import { TlsEndpoint } from '../tls/tls-endpoint.ts';
import { TlsListener } from './tls-listener.ts';

/** What serves the traffic. */
export interface TrafficParts {
  readonly policy: Policy;
  readonly pipeline: Pipeline;
  /** TLS of the public listener. */
  readonly endpoint: TlsEndpoint;
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
  const { policy, pipeline, endpoint, shared } = parts;
  const reusePort = shared !== undefined;
  const limits = {
    ...policy.protection,
    connections: Math.ceil(policy.protection.connections / (shared?.share ?? 1)),
  };
  const publicListener = new TlsListener({ tls: endpoint.serverOptions(), limits, handler: pipeline });
  endpoint.bind(publicListener.server);
  const adminListener = closedAdminListener(parts);
  const close = () => {
    adminListener.close();
    publicListener.close();
  };
  try {
    return {
      admin: await adminListener.listen({ ...(shared?.admin ?? policy.listen.admin), reusePort }),
      public: await publicListener.listen({ ...(shared?.public ?? policy.listen.public), reusePort }),
      connections: () => publicListener.connections,
      stopAccepting: () => publicListener.stopAccepting(),
      close,
    };
  } catch (error) {
    close();
    throw error;
  }
}

/**
 * The admin listener while nobody is enrolled: it asks for a client certificate and knows no authority that could
 * have issued one, so no handshake gets through.
 */
function closedAdminListener({ endpoint, policy }: TrafficParts): TlsListener {
  const admin = new TlsEndpoint({
    listener: 'admin',
    snapshot: endpoint.snapshot,
    ticketSecret: createTicketSecret(),
    clientAuthorities: [],
  });
  return new TlsListener({
    tls: { ...admin.serverOptions(), requestCert: true, rejectUnauthorized: true },
    limits: policy.protection,
    handler: {
      handle: (exchange) => exchange.destroy(),
      upgrade: (_message, _request, socket) => socket.destroy(),
    },
  });
}
