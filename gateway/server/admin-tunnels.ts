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
  /** Whether nothing may pass to a server, because its region is sealed. */
  isSealed(server: string): boolean;
  /** How long the policy lets streams live. */
  maxAgeMs(): number;
}

/**
 * The tunnels of administrators to the servers of the policy, on this process. Each is on record before a byte of it
 * reaches the server, and again when it ends.
 */
export class AdminTunnels {
  readonly #parts: AdminTunnelsParts;
  readonly #open = new Set<AdminTunnel>();

  constructor(parts: AdminTunnelsParts) {
    this.#parts = parts;
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
    if (parts.isSealed(server)) {
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
