import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';

import type { Administrator } from '../admin/admin.ts';
import type { AuditSink } from '../core/audit-event.ts';
import type { Clock } from '../core/clock.ts';
import { GatewayError, PROBLEMS, type ProblemCode } from '../core/gateway-error.ts';
import type { GatewayMetrics } from '../observability/gateway-metrics.ts';
import type { Logger } from '../observability/logger.ts';
import type { TunnelRequest } from '../proxy/tunnel-request.ts';
import { ADMIN_LIFETIME_MS } from '../session/session.ts';
import type { RegionConditions } from '../upstream/region-condition.ts';
import { AdminTunnel, type TunnelEnd } from './admin-tunnel.ts';
import type { RefusalLog } from './refusal-log.ts';

interface AdminTunnelsParts {
  readonly audit: AuditSink;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: GatewayMetrics;
  readonly refusals: RefusalLog;
  /** The servers of the policy in force, `host:port`. */
  servers(): readonly string[];
  /** Regions of the policy in force. */
  regions(): readonly RegionPlace[];
  readonly conditions: RegionConditions;
  /** How long the policy lets streams live. */
  maxAgeMs(): number;
}

/** A region, as far as it says where servers stand. */
interface RegionPlace {
  readonly id: string;
  readonly servers: readonly string[];
  readonly nodes: readonly string[];
}

/**
 * The tunnels of administrators to the servers of the policy, on this process. Each is on record before a byte of it
 * reaches the server, and again when it ends.
 */
export class AdminTunnels {
  readonly #parts: AdminTunnelsParts;
  readonly #open = new Set<AdminTunnel>();
  readonly #stopListening: () => void;

  constructor(parts: AdminTunnelsParts) {
    this.#parts = parts;
    this.#stopListening = parts.conditions.onChange((region, condition) => {
      if (condition === 'sealed') this.cut('region sealed', ({ server }) => this.#mayStandIn(server, region));
    });
  }

  /** Those that are open or being opened now. */
  get open(): readonly AdminTunnel[] {
    return [...this.#open];
  }

  /**
   * Cuts tunnels at once.
   *
   * @param reason for the record.
   * @param isMeant which of them; all by default.
   * @returns how many there were.
   */
  cut(reason: TunnelEnd, isMeant: (tunnel: AdminTunnel) => boolean = () => true): number {
    const meant = this.open.filter(isMeant);
    for (const tunnel of meant) tunnel.end(reason);
    return meant.length;
  }

  /** Opens a tunnel for an administrator, or says no. Never rejects. */
  async serve(request: TunnelRequest, administrator: Administrator, connection: Socket): Promise<void> {
    const parts = this.#parts;
    const server = request.target.toLowerCase();
    const { name, fingerprint } = administrator;
    if (!parts.servers().some((listed) => listed.toLowerCase() === server)) {
      parts.refusals.note('server', {
        peer: request.peerAddress,
        fingerprint,
        administrator: name,
        server: server.slice(0, 300),
      });
      refuse(request, 'route_denied');
      return;
    }
    if (this.#isSealed(server)) {
      refuse(request, 'upstream_unreachable');
      return;
    }
    const id = randomBytes(6).toString('base64url');
    const facts = { id, administrator: name, server, openedMs: parts.clock.now(), connection };
    const tunnel = new AdminTunnel(facts, (reason) => this.#ended(tunnel, reason));
    this.#open.add(tunnel);
    try {
      await this.#record(tunnel, request.peerAddress);
      await tunnel.dial();
    } catch (error) {
      refuse(request, codeOf(error));
      tunnel.end(error instanceof Error ? error.message : 'server failed');
      return;
    }
    // Whoever was cut off while the server was asked gets nothing of it.
    if (tunnel.ended !== undefined || request.isGone) {
      tunnel.end('client closed');
      return;
    }
    tunnel.join(request.accept(), Math.min(parts.maxAgeMs(), ADMIN_LIFETIME_MS));
  }

  /** Cuts all and listens no more. */
  close(): void {
    this.#stopListening();
    this.cut('stopped');
  }

  #isSealed(server: string): boolean {
    const { conditions } = this.#parts;
    return this.#regionsOf(server).some((region) => conditions.of(region) === 'sealed');
  }

  /** A server of which nothing says where it stands may stand anywhere. */
  #mayStandIn(server: string, region: string): boolean {
    const regions = this.#regionsOf(server);
    return regions.length === 0 || regions.includes(region);
  }

  /** Where a server stands: as the policy says, or else where a node of the CRM has the same host. */
  #regionsOf(server: string): string[] {
    const regions = this.#parts.regions();
    const named = regions.filter(({ servers }) => servers.some((each) => each.toLowerCase() === server));
    const host = server.slice(0, server.lastIndexOf(':'));
    const found =
      named.length > 0
        ? named
        : regions.filter(({ nodes }) => nodes.some((origin) => new URL(origin).hostname === host));
    return found.map(({ id }) => id);
  }

  async #record({ id, administrator, server }: AdminTunnel, peer: string): Promise<void> {
    const { audit, logger, metrics } = this.#parts;
    const facts = { id, administrator, server, peer };
    metrics.streamsActive.child({ kind: 'tunnel' }).inc(1);
    await audit.commit({ event: 'tunnel.opened', facts });
    logger.info('tunnel opened', facts);
  }

  #ended(tunnel: AdminTunnel, reason: TunnelEnd): void {
    const { audit, clock, logger, metrics } = this.#parts;
    if (!this.#open.delete(tunnel)) return;
    metrics.streamsActive.child({ kind: 'tunnel' }).inc(-1);
    const { id, administrator, server, bytesIn, bytesOut, openedMs } = tunnel;
    const facts = {
      id,
      administrator,
      server,
      reason,
      bytes_in: bytesIn,
      bytes_out: bytesOut,
      seconds: Math.round(clock.now() - openedMs) / 1000,
    };
    audit.note({ event: 'tunnel.closed', facts });
    logger.info('tunnel closed', facts);
  }
}

function codeOf(error: unknown): ProblemCode {
  return error instanceof GatewayError ? error.code : 'upstream_unreachable';
}

function refuse(request: TunnelRequest, code: ProblemCode): void {
  const { status, title } = PROBLEMS[code];
  request.refuse(status, { type: `urn:zasov:problem:${code}`, title, status, code });
}
