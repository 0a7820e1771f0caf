import {
  createServer as createHttp2Server,
  type Http2Server,
  type Http2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo } from 'node:net';
import {
  createServer as createTlsServer,
  type Server as TlsServer,
  type TLSSocket,
  type TlsOptions,
} from 'node:tls';

import { Http2Exchange } from '../proxy/http2-exchange.ts';
import { http2Tunnel } from '../proxy/tunnel-request.ts';
import { Http1Server, KEEP_ALIVE_MS, type ListenerLimits, type MessageHandler } from './http1-server.ts';

/** What a listener is made of. */
interface ListenerSettings {
  readonly tls: TlsOptions;
  readonly limits: ListenerLimits;
  readonly handler: MessageHandler;
  /** Told of each connection when its handshake is through. @returns whether it may have more than one answer. */
  admit?(socket: TLSSocket): boolean;
  /** Told of each handshake that failed. */
  failed?(error: Error & { readonly code?: string }, socket: TLSSocket): void;
}

/** A connection, and whether it ends with its first answer. */
interface ConnectionInHand {
  readonly socket: TLSSocket;
  readonly isLast: boolean;
}

const HANDSHAKE_MS = 10_000;
const H2_STREAMS = 128;
/** HEADERS frame flag (RFC 9113 section 6.2). */
const END_STREAM = 1;
const H2_WINDOW_BYTES = 256 * 1024;

/**
 * A TLS port that speaks HTTP/2 and HTTP/1.1, chosen by ALPN (RFC 7301). One TLS server hands each connection to one
 * of two servers that never listen themselves, so that neither protocol goes through the other's compatibility layer.
 */
export class TlsListener {
  readonly #tls: TlsServer;
  readonly #http1: Http1Server;
  readonly #http2: Http2Server;
  readonly #sockets = new Set<TLSSocket>();
  readonly #sessions = new Map<Http2Session, ConnectionInHand>();
  readonly #settings: ListenerSettings;
  /** The connection that is being handed to HTTP/2, which tells of its session before that call returns. */
  #inHand: ConnectionInHand | undefined;

  constructor(settings: ListenerSettings) {
    this.#settings = settings;
    this.#http1 = new Http1Server(settings.limits, settings.handler);
    this.#http2 = http2Server(settings, this.#sessions, () => this.#inHand);
    this.#tls = createTlsServer({
      ...settings.tls,
      ALPNProtocols: ['h2', 'http/1.1'],
      handshakeTimeout: HANDSHAKE_MS,
      highWaterMark: 64 * 1024,
    });
    this.#tls.maxConnections = settings.limits.connections;
    this.#tls.on('secureConnection', (socket) => this.#connect(socket));
    // A client that cannot finish a handshake concerns nobody else.
    this.#tls.on('tlsClientError', (error, socket) => {
      settings.failed?.(error, socket);
      socket.destroy();
    });
  }

  /** The TLS server, for certificates that change while it runs. */
  get server(): TlsServer {
    return this.#tls;
  }

  /** Open connections. */
  get connections(): number {
    return this.#sockets.size;
  }

  /** @throws the system's error when the port cannot be taken. @returns the bound address. */
  async listen(endpoint: {
    readonly address: string;
    readonly port: number;
    /** Whether other processes listen on the same port (SO_REUSEPORT). */
    readonly reusePort: boolean;
  }): Promise<AddressInfo> {
    const { address: host, port, reusePort } = endpoint;
    await new Promise<void>((resolve, reject) => {
      this.#tls.once('error', reject);
      this.#tls.listen({ host, port, reusePort, backlog: 1024 }, () => {
        this.#tls.off('error', reject);
        resolve();
      });
    });
    return this.#tls.address() as AddressInfo;
  }

  /** Takes no more connections; tells clients to go once their requests under way are answered. */
  stopAccepting(): void {
    this.#tls.close();
    this.#http1.stop();
    for (const session of this.#sessions.keys()) session.close();
  }

  /** Cuts what is left. */
  close(): void {
    this.#tls.close();
    this.#http1.close();
    for (const socket of this.#sockets) socket.destroy();
  }

  #connect(socket: TLSSocket): void {
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.setNoDelay(true);
    // Errors belong to one client; whichever server has the socket sees its close.
    socket.on('error', () => socket.destroy());
    const isLast = this.#settings.admit?.(socket) === false;
    if (socket.alpnProtocol !== 'h2') {
      this.#http1.connect(socket, isLast);
      return;
    }
    this.#inHand = { socket, isLast };
    this.#http2.emit('connection', socket);
  }
}

function http2Server(
  { limits, handler }: ListenerSettings,
  sessions: Map<Http2Session, ConnectionInHand>,
  inHand: () => ConnectionInHand | undefined,
): Http2Server {
  const server = createHttp2Server({
    settings: {
      maxConcurrentStreams: H2_STREAMS,
      maxHeaderListSize: limits.headerBytes,
      initialWindowSize: H2_WINDOW_BYTES,
      enablePush: false,
    },
    maxSessionMemory: 16,
  });
  server.on('session', (session) => {
    const connection = inHand();
    if (connection === undefined) session.destroy();
    else sessions.set(session, connection);
    session.on('close', () => sessions.delete(session));
    session.on('error', () => session.destroy());
    session.setTimeout(KEEP_ALIVE_MS, () => session.close());
    // The window of the whole connection, so that one upload can run at full speed.
    session.setLocalWindowSize(H2_WINDOW_BYTES * 4);
  });
  server.on('stream', (stream: ServerHttp2Stream, headers, flags, rawHeaders) => {
    const connection = stream.session && sessions.get(stream.session);
    if (connection === undefined) {
      stream.destroy();
      return;
    }
    if (headers[':method'] === 'CONNECT' && handler.tunnel !== undefined)
      handler.tunnel(http2Tunnel(headers[':authority'] ?? '', stream), connection.socket);
    else {
      const endsWithHead = (flags & END_STREAM) === END_STREAM;
      handler.handle(new Http2Exchange(stream, headers, rawHeaders, endsWithHead), connection.socket);
    }
    if (connection.isLast) stream.session?.close();
  });
  server.on('sessionError', () => undefined);
  return server;
}

/** The origin under which a bound listener is reached from this machine; a wildcard address becomes loopback. */
export function originOf(scheme: 'http' | 'https', { address, port, family }: AddressInfo): string {
  const host = address === '0.0.0.0' || address === '::' ? '127.0.0.1' : address;
  return `${scheme}://${family === 'IPv6' && host === address ? `[${host}]` : host}:${port}`;
}
