import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import {
  createServer as createTlsServer,
  type Server as TlsServer,
  type TLSSocket,
  type TlsOptions,
} from 'node:tls';

import { DenseSet, type Placed } from '../core/dense-set.ts';
import type { NetworkList } from '../core/network.ts';
import type { ClientConnections, ConnectionRefusal } from './client-connections.ts';
import { Http1Server, type ListenerLimits, type MessageHandler } from './http1-server.ts';
import { Http2Server } from './http2-server.ts';
import { takeProxyHeader } from './proxied-socket.ts';
import { StalledSockets } from './stalled-sockets.ts';

/** What a listener is made of. */
interface ListenerSettings {
  readonly tls: TlsOptions;
  readonly limits: ListenerLimits;
  readonly handler: MessageHandler;
  /** Bounds what one client may open. */
  readonly clients: ClientConnections;
  /** Told of each connection that is refused before its handshake. */
  refused?(reason: ConnectionRefusal | 'proxy'): void;
  /** Set where every connection begins with a PROXY header: who may send one. */
  readonly proxies?: NetworkList | undefined;
  /** Told of each connection when its handshake is through. @returns whether it may have more than one answer. */
  admit?(socket: TLSSocket): boolean;
  /** Told of each handshake that failed. */
  failed?(error: Error & { readonly code?: string }, socket: TLSSocket): void;
}

interface OpenSocket extends Placed {
  readonly socket: TLSSocket;
}

const SWEEP_MS = 1000;
const BUFFER_BYTES = 64 * 1024;

/**
 * A TLS port that speaks HTTP/2 and HTTP/1.1, chosen by ALPN (RFC 7301). One TLS server hands each connection to one
 * of two servers that never listen themselves, so that neither protocol goes through the other's compatibility layer.
 */
export class TlsListener {
  /** Takes connections, and hands those that may have a handshake to {@link #tls}, which never listens itself. */
  readonly #front: Server;
  readonly #tls: TlsServer;
  readonly #http1: Http1Server;
  readonly #http2: Http2Server;
  readonly #sockets = new DenseSet<OpenSocket>();
  /** Clients of connections that came through a proxy. */
  readonly #claimed = new Map<string, { readonly address: string }>();
  readonly #sweeper: NodeJS.Timeout;
  readonly #settings: ListenerSettings;

  constructor(settings: ListenerSettings) {
    this.#settings = settings;
    this.#http1 = new Http1Server(settings.limits, settings.handler);
    this.#http2 = new Http2Server(settings.limits, settings.handler);
    this.#tls = createTlsServer({
      ...settings.tls,
      ALPNProtocols: ['h2', 'http/1.1'],
      handshakeTimeout: settings.limits.headerTimeoutMs,
      highWaterMark: BUFFER_BYTES,
    });
    this.#front = createServer({ highWaterMark: BUFFER_BYTES }, (socket) => this.#open(socket));
    this.#front.maxConnections = settings.limits.connections;
    this.#tls.on('secureConnection', (socket) => this.#connect(socket));
    // A client that cannot finish a handshake concerns nobody else.
    this.#tls.on('tlsClientError', (error, socket) => {
      settings.failed?.(error, socket);
      socket.destroy();
    });
    const stalled = new StalledSockets(2 * settings.limits.bodyIdleTimeoutMs);
    this.#sweeper = setInterval(
      () => stalled.sweep(this.#sockets.items(), performance.now()),
      SWEEP_MS,
    ).unref();
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
      this.#front.once('error', reject);
      this.#front.listen({ host, port, reusePort, backlog: 1024 }, () => {
        this.#front.off('error', reject);
        resolve();
      });
    });
    return this.#front.address() as AddressInfo;
  }

  /** Takes no more connections; tells clients to go once their requests under way are answered. */
  stopAccepting(): void {
    this.#front.close();
    this.#http1.stop();
    this.#http2.stop();
  }

  /** Cuts what is left. */
  close(): void {
    this.#front.close();
    this.#tls.close();
    clearInterval(this.#sweeper);
    this.#http1.close();
    this.#http2.close();
    for (const { socket } of this.#sockets.items()) socket.destroy();
  }

  #open(socket: Socket): void {
    const { proxies } = this.#settings;
    const address = socket.remoteAddress ?? '';
    if (proxies === undefined) this.#take(socket, address);
    else if (proxies.includes(address))
      takeProxyHeader(socket, (client) => this.#takeProxied(socket, client));
    else {
      // Whoever could write such a header could be anybody.
      this.#settings.refused?.('proxy');
      socket.resetAndDestroy();
    }
  }

  /** From here on the connection is the client's, as its proxy said. @returns false when nobody knows whose it is. */
  #nameClient(socket: TLSSocket): boolean {
    const entry = this.#claimed.get(connectionKey(socket));
    if (entry === undefined) socket.destroy();
    else Object.defineProperty(socket, 'remoteAddress', { value: entry.address });
    return entry !== undefined;
  }

  #takeProxied(socket: Socket, address: string): void {
    const key = connectionKey(socket);
    const entry = { address };
    this.#claimed.set(key, entry);
    socket.once('close', () => {
      if (this.#claimed.get(key) === entry) this.#claimed.delete(key);
    });
    this.#take(socket, address);
  }

  #take(socket: Socket, address: string): void {
    const refusal = this.#settings.clients.open(address);
    if (refusal !== undefined) {
      this.#settings.refused?.(refusal);
      // A reset, so that no port of ours waits for a client that opens thousands.
      socket.resetAndDestroy();
      return;
    }
    socket.once('close', () => this.#settings.clients.close(address));
    this.#tls.emit('connection', socket);
  }

  #connect(socket: TLSSocket): void {
    if (this.#settings.proxies !== undefined && !this.#nameClient(socket)) return;
    const open: OpenSocket = { socket, place: -1 };
    this.#sockets.add(open);
    socket.on('close', () => this.#sockets.delete(open));
    socket.setNoDelay(true);
    // Errors belong to one client; whichever server has the socket sees its close.
    socket.on('error', () => socket.destroy());
    const isLast = this.#settings.admit?.(socket) === false;
    if (socket.alpnProtocol === 'h2') this.#http2.connect(socket, isLast);
    else this.#http1.connect(socket, isLast);
  }
}

/** One connection among those that are open: the proxy's address and port. */
function connectionKey({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}

/** The origin under which a bound listener is reached from this machine; a wildcard address becomes loopback. */
export function originOf(scheme: 'http' | 'https', { address, port, family }: AddressInfo): string {
  const host = address === '0.0.0.0' || address === '::' ? '127.0.0.1' : address;
  return `${scheme}://${family === 'IPv6' && host === address ? `[${host}]` : host}:${port}`;
}
