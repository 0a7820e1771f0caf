import { createHash, type X509Certificate } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';

import type { Administrator, AdminList } from '../admin/admin.ts';
import type { AuditSink } from '../core/audit-event.ts';
import { PROBLEMS } from '../core/gateway-error.ts';
import type { NetworkList } from '../core/network.ts';
import type { Logger } from '../observability/logger.ts';
import { refusalCode } from '../pipeline/admit-administrator.ts';
import type { Pipeline } from '../pipeline/pipeline.ts';
import type { AdminVisitor } from '../pipeline/request-context.ts';
import type { Exchange, MessageHead } from '../proxy/exchange.ts';
import type { TunnelRequest } from '../proxy/tunnel-request.ts';
import type { AdminTunnels } from './admin-tunnels.ts';
import { every } from './closers.ts';
import { FACILITY_PREFIX, type FacilityDoor } from './facility-door.ts';
import type { MessageHandler } from './http1-server.ts';
import type { RefusalLog } from './refusal-log.ts';

interface AdminDoorParts {
  readonly admins: AdminList;
  readonly audit: AuditSink;
  readonly logger: Logger;
  readonly pipeline: Pick<Pipeline, 'handle' | 'upgrade'>;
  readonly refusals: RefusalLog;
  readonly tunnels: AdminTunnels;
  /** Takes signals of data centres, which are signed and need no certificate. */
  readonly facility: Pick<FacilityDoor, 'take'>;
  /** Where administrators may come from by the policy in force; `undefined` means anywhere. */
  networks(): NetworkList | undefined;
}

/** One connection, and who stands at its other end. */
interface Guest {
  readonly socket: TLSSocket;
  readonly certificate: X509Certificate | undefined;
  readonly peer: string;
  visitor: AdminVisitor;
  /** The version of the list that said so. */
  version: number;
  /** Whether a refusal is on record, or need not be. */
  isTold: boolean;
}

/** How often certificates that run out and networks that changed are looked for, in milliseconds. */
const SWEEP_MS = 1000;
/** How long a connection that is refused may stay to hear why, in milliseconds. */
const REFUSED_MS = 5000;

/**
 * The door of the admin listener. The handshake lets everybody through, because a refusal inside TLS says nothing to
 * the client and little to the record; here each connection is judged by its certificate, once when it comes and again
 * whenever the list changes. Who is refused hears so with 403 and is disconnected; who is one of the two goes on into
 * the pipeline under a name that nothing in the request can change.
 */
export class AdminDoor implements MessageHandler {
  readonly #parts: AdminDoorParts;
  readonly #guests = new WeakMap<Socket, Guest>();
  /** Connections of administrators. */
  readonly #admitted = new Set<Guest>();
  readonly #closers: (() => void)[];
  #version = 0;

  constructor(parts: AdminDoorParts) {
    this.#parts = parts;
    this.#closers = [
      parts.admins.onChange(() => {
        this.#version += 1;
        this.#sweep();
      }),
      every(SWEEP_MS, () => this.#sweep()),
    ];
  }

  /** Judges a new connection. @returns whether it may stay. */
  admit(socket: TLSSocket): boolean {
    const certificate = socket.getPeerX509Certificate();
    const peer = socket.remoteAddress ?? '';
    const visitor = this.#judge(certificate, peer);
    const guest: Guest = { socket, certificate, peer, visitor, version: this.#version, isTold: false };
    this.#guests.set(socket, guest);
    if (typeof visitor === 'string') {
      const late = setTimeout(() => socket.destroy(), REFUSED_MS).unref();
      socket.once('close', () => {
        clearTimeout(late);
        // Also who asks for nothing has tried the door.
        this.#tell(guest);
      });
      return false;
    }
    this.#admitted.add(guest);
    socket.once('close', () => this.#admitted.delete(guest));
    const facts = { administrator: visitor.name, peer, ...describe(certificate) };
    this.#parts.audit.note({ event: 'admin.connected', facts });
    return true;
  }

  /** Takes note of a handshake that failed: a certificate without its key, for one. */
  failed(error: Error & { readonly code?: string }, socket: TLSSocket): void {
    // A client that goes away in the middle, as browsers do while their person chooses a certificate, is no attempt.
    if (error.code?.startsWith('ERR_SSL') === true)
      this.#parts.refusals.note('handshake', { peer: socket.remoteAddress ?? '' });
  }

  handle(exchange: Exchange, connection: Socket): void {
    if (exchange.target.startsWith(FACILITY_PREFIX)) {
      const guest = this.#guests.get(connection);
      if (guest !== undefined) guest.isTold = true;
      void answerSignal(exchange, this.#parts.facility);
      return;
    }
    this.#parts.pipeline.handle(exchange, this.#visitorOf(connection));
  }

  upgrade(message: MessageHead, request: IncomingMessage, socket: Socket, head: Buffer): void {
    this.#parts.pipeline.upgrade(message, request, socket, head, this.#visitorOf(socket));
  }

  tunnel(request: TunnelRequest, connection: Socket): void {
    const visitor = this.#visitorOf(connection);
    if (typeof visitor === 'object') {
      void this.#parts.tunnels.serve(request, visitor, connection);
      return;
    }
    const code = refusalCode(visitor);
    const { status, title } = PROBLEMS[code];
    request.refuse(status, { type: `urn:zasov:problem:${code}`, title, status, code });
  }

  /** Cuts all tunnels and stops looking after connections, which are the listener's to close. */
  close(): void {
    for (const close of this.#closers) close();
    this.#parts.tunnels.close();
  }

  /** Asked at every request: a number is compared, unless the list has changed since. */
  #visitorOf(connection: Socket): AdminVisitor {
    const guest = this.#guests.get(connection);
    if (guest === undefined) return 'no_certificate';
    if (guest.version !== this.#version) this.#look(guest);
    this.#tell(guest);
    return guest.visitor;
  }

  #tell(guest: Guest): void {
    const { visitor, peer, certificate } = guest;
    if (typeof visitor !== 'string' || guest.isTold) return;
    guest.isTold = true;
    this.#parts.refusals.note(visitor, { peer, ...describe(certificate) });
  }

  #sweep(): void {
    for (const guest of this.#admitted) this.#look(guest);
  }

  /** Judges an administrator's connection again and cuts it when it is none any more. */
  #look(guest: Guest): void {
    const { audit, logger, refusals, tunnels } = this.#parts;
    const { socket, certificate, peer, visitor } = guest;
    guest.version = this.#version;
    const now = this.#judge(certificate, peer);
    if (typeof visitor === 'string' || isSame(now, visitor)) return;
    guest.visitor = typeof now === 'string' ? now : 'not_enrolled';
    guest.isTold = true;
    this.#admitted.delete(guest);
    const reason = guest.visitor;
    const facts = { administrator: visitor.name, peer, reason };
    audit.note({ event: 'admin.cut', facts });
    logger.warn("an administrator's connection was cut", facts);
    refusals.note(reason, { peer, administrator: visitor.name, ...describe(certificate) });
    tunnels.cut('revoked', ({ connection }) => connection === socket);
    socket.destroy();
  }

  #judge(certificate: X509Certificate | undefined, peer: string): AdminVisitor {
    try {
      if (this.#parts.networks()?.includes(peer) === false) return 'network';
      const who = this.#parts.admins.identify(certificate);
      if (typeof who === 'string' || certificate === undefined) return who;
      return { ...who, certificateEndsMs: certificate.validToDate.getTime() };
    } catch (error) {
      this.#parts.logger.error('a certificate could not be judged', { error });
      return 'unknown_key';
    }
  }
}

/** Answers a signal. Its own refusals are counted and on record as such. */
async function answerSignal(exchange: Exchange, facility: AdminDoorParts['facility']): Promise<void> {
  const { method, target, rawHeaders, source } = exchange;
  exchange.sendContinue();
  const { status, headers, body } = await facility.take({
    method,
    path: target.split('?', 1)[0] ?? '',
    header: (name) => {
      const values = rawHeaders.filter(
        (_, index) => index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === name,
      );
      return values.length === 0 ? undefined : values.join(', ');
    },
    body: source.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>,
    listener: 'admin',
  });
  if (exchange.closed) return;
  exchange.respond(status, [...headers]);
  exchange.end(Buffer.from(method === 'HEAD' ? '' : body));
}

function isSame(now: AdminVisitor, before: Administrator): boolean {
  return typeof now === 'object' && now.fingerprint === before.fingerprint && now.name === before.name;
}

function describe(certificate: X509Certificate | undefined): { fingerprint?: string; subject?: string } {
  if (certificate === undefined) return {};
  const spki = certificate.publicKey.export({ type: 'spki', format: 'der' });
  return { fingerprint: createHash('sha256').update(spki).digest('hex'), subject: certificate.subject };
}
