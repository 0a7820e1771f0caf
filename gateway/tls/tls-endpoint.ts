import { constants } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import type { SecureContext, SecureContextOptions, Server, TlsOptions } from 'node:tls';
import type { CertificateSnapshot, ServedCertificate } from './certificate-snapshot.ts';
import { ticketKeysFor } from './ticket-keys.ts';
import { tlsProfileOptions } from './tls-profile.ts';

/** What a {@link TlsEndpoint} is made of. */
interface TlsEndpointSettings {
  /** `public` or `admin`: sessions of one listener are never resumed on the other. */
  readonly listener: string;
  readonly snapshot: CertificateSnapshot;
  /** From `createTicketSecret`; the same in all workers. */
  readonly ticketSecret: Buffer;
  /**
   * Whether the listener asks for a client certificate. Whatever comes is let through the handshake, which proves that
   * the client has the key; whoever serves the connection decides. Nothing is resumed then: each connection proves it
   * anew, and no ticket outlives a certificate.
   */
  readonly asksForCertificate?: boolean;
}

/**
 * The TLS side of one listener: gives `createServer` its options, picks the certificate for each handshake, and takes
 * new certificates and ticket keys while running. Connections that stand keep what they began with.
 */
export class TlsEndpoint {
  readonly #listener: string;
  readonly #asksForCertificate: boolean;
  readonly #servers = new Set<Server>();
  readonly #followers: TlsEndpoint[] = [];
  #snapshot: CertificateSnapshot;
  #ticketSecret: Buffer;
  /** Made on the first handshake for a certificate: a context costs 20 KiB and 10,000 of them most of a second. */
  #contexts = new Map<ServedCertificate, SecureContext>();

  constructor(settings: TlsEndpointSettings) {
    this.#listener = settings.listener;
    this.#asksForCertificate = settings.asksForCertificate === true;
    this.#snapshot = settings.snapshot;
    this.#ticketSecret = settings.ticketSecret;
  }

  get snapshot(): CertificateSnapshot {
    return this.#snapshot;
  }

  /** Options for `https.createServer`, `http2.createSecureServer` or `tls.createServer`; then call {@link bind}. */
  serverOptions(): TlsOptions {
    return {
      ...this.#defaultContext(),
      ...(this.#asksForCertificate ? { requestCert: true, rejectUnauthorized: false } : {}),
      SNICallback: (serverName, done) => {
        try {
          done(null, this.contextFor(serverName));
        } catch (error) {
          done(error instanceof Error ? error : new Error('no secure context', { cause: error }));
        }
      },
    };
  }

  /** The context for a server name; an unknown name gets the default one, as a client without a name does. */
  contextFor(serverName: string): SecureContext {
    const certificate = this.#snapshot.find(serverName) ?? this.#snapshot.fallback;
    let context = this.#contexts.get(certificate);
    if (!context) {
      context = createSecureContext(this.#contextOptions(certificate));
      this.#contexts.set(certificate, context);
    }
    return context;
  }

  /** Keeps a server up to date with later swaps until it closes. */
  bind(server: Server): void {
    this.#servers.add(server);
    server.once('close', () => this.#servers.delete(server));
  }

  /** Serves other certificates from the next handshake on. A host that is gone gets the default certificate. */
  swap(snapshot: CertificateSnapshot): void {
    this.#snapshot = snapshot;
    this.#contexts = new Map();
    this.#refreshServers();
    for (const follower of this.#followers) follower.swap(snapshot);
  }

  /** Serves the certificates of another endpoint from now on, whatever it swaps them for. */
  follow(other: TlsEndpoint): void {
    other.#followers.push(this);
  }

  /**
   * Takes new ticket keys; tickets under the old ones lead to a full handshake, about a millisecond once for each
   * client. Once in some hours is enough. Node's documented API gives a server one set of keys, to make tickets
   * and to open them: opening old ones while making new ones (RFC 5077 section 5.5) works by undocumented internals
   * only, and those have no place here.
   */
  rotateTickets(secret: Buffer): void {
    this.#ticketSecret = secret;
    this.#refreshServers();
  }

  /** Clients that name no host are served from the server's own context, which no callback reaches. */
  #refreshServers(): void {
    for (const server of this.#servers) server.setSecureContext(this.#defaultContext());
  }

  #defaultContext(): SecureContextOptions & Pick<TlsOptions, 'ticketKeys'> {
    const options = this.#contextOptions(this.#snapshot.fallback);
    if (this.#asksForCertificate) return options;
    return {
      ...options,
      ticketKeys: ticketKeysFor(this.#ticketSecret, this.#listener),
    };
  }

  #contextOptions(certificate: ServedCertificate): SecureContextOptions {
    const profile = tlsProfileOptions(this.#snapshot.profile);
    const secureOptions = (profile.secureOptions ?? 0) | constants.SSL_OP_NO_TICKET;
    return {
      ...profile,
      ...(this.#asksForCertificate ? { secureOptions } : {}),
      cert: certificate.certPem,
      key: certificate.keyPem,
      sessionIdContext: `zasov-${this.#listener}`,
    };
  }
}
