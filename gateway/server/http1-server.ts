import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

import type { Exchange, MessageHead } from '../proxy/exchange.ts';
import { type Http1Connection, Http1Exchange, http1Head } from '../proxy/http1-exchange.ts';
import { http1Tunnel, type TunnelRequest } from '../proxy/tunnel-request.ts';
import { answerClientError } from './client-error.ts';

/** How long an idle connection is kept: longer than a browser's own 30 s poll, so that polls share one. */
export const KEEP_ALIVE_MS = 65_000;
const CHECK_EVERY_MS = 2000;
/** Most requests that one connection may have under way; browsers send one at a time, floods send thousands. */
const PIPELINED = 128;

/** Takes what arrives on a listener. The connection is the one that `TlsListener` told of when it came. */
export interface MessageHandler {
  handle(exchange: Exchange, connection: Socket): void;
  upgrade(message: MessageHead, request: IncomingMessage, socket: Socket, head: Buffer): void;
  /** Takes CONNECT; absent where no tunnels are. */
  tunnel?(request: TunnelRequest, connection: Socket): void;
}

/** Bounds of a listener; the policy's `protection` section fits. */
export interface ListenerLimits {
  readonly headerBytes: number;
  readonly headerTimeoutMs: number;
  readonly bodyIdleTimeoutMs: number;
  readonly connections: number;
}

/** An HTTP/1.1 server (RFC 9112) that is handed its connections and never listens itself. */
export class Http1Server {
  readonly #server: Server;
  readonly #handler: MessageHandler;
  readonly #connections = new WeakMap<object, Http1Connection>();
  readonly #last = new WeakSet<Socket>();
  #isStopping = false;

  constructor(limits: ListenerLimits, handler: MessageHandler) {
    this.#handler = handler;
    this.#server = createServer({
      maxHeaderSize: limits.headerBytes,
      headersTimeout: limits.headerTimeoutMs,
      // Bodies may take as long as they move; their own idle limit watches them.
      requestTimeout: 0,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connectionsCheckingInterval: CHECK_EVERY_MS,
      insecureHTTPParser: false,
      // RFC 9110 section 7.8: in HTTP/1.0 an upgrade counts for nothing.
      shouldUpgradeCallback: ({ httpVersion, headers }) =>
        httpVersion === '1.1' && headers.upgrade?.toLowerCase() === 'websocket',
      optimizeEmptyRequests: true,
    });
    this.#server.on('request', (request, response) => this.#take(request, response, false));
    this.#server.on('checkContinue', (request, response) => this.#take(request, response, true));
    // Whether the body comes all the same is the client's choice, so nobody knows where the next request begins.
    this.#server.on('checkExpectation', (_request, response) =>
      response.writeHead(417, { connection: 'close' }).end(),
    );
    // When a body follows the head, Node passes a wrapper; the request knows the connection itself.
    this.#server.on('upgrade', (request, _stream, head) => this.#upgrade(request, request.socket, head));
    this.#server.on('connect', (request, _stream, head) => this.#tunnel(request, head));
    this.#server.on('clientError', (error, socket) => this.#failed(error, socket));
    // The parser would leave out what is beyond its own count without a word; the guard refuses such heads.
    this.#server.maxHeadersCount = 0;
    // Starts the header time-outs, which only a server that listens would start by itself.
    this.#server.emit('listening');
  }

  /** Takes a connection over. @param isLast closes it after its first answer. */
  connect(socket: Socket, isLast: boolean): void {
    if (isLast) this.#last.add(socket);
    this.#server.emit('connection', socket);
  }

  /** Closes idle connections now and the others with the answer that is under way. */
  stop(): void {
    this.#isStopping = true;
    this.#server.closeIdleConnections();
  }

  /** Stops the time-outs; connections are the caller's to close. */
  close(): void {
    this.#server.close();
  }

  #take(request: IncomingMessage, response: ServerResponse, waitsForContinue: boolean): void {
    const { socket } = request;
    let connection = this.#connections.get(socket);
    if (connection === undefined) {
      const queued = new Set<{ abandon(): void }>();
      connection = { open: 0, latest: response, queued, whenIdle: undefined };
      this.#connections.set(socket, connection);
      socket.once('close', () => {
        for (const exchange of queued) exchange.abandon();
      });
    }
    if (connection.open >= PIPELINED) {
      socket.destroy();
      return;
    }
    if (request.httpVersionMajor !== 1) {
      response.writeHead(505, { connection: 'close' }).end();
      return;
    }
    if (this.#isStopping || this.#last.has(socket)) response.shouldKeepAlive = false;
    this.#handler.handle(new Http1Exchange(request, response, connection, waitsForContinue), socket);
  }

  #tunnel({ url, socket }: IncomingMessage, head: Buffer): void {
    const handler = this.#handler;
    // An answer that is still to come would be written into the tunnel.
    if ((this.#connections.get(socket)?.open ?? 0) > 0) socket.destroy();
    else if (handler.tunnel !== undefined) handler.tunnel(http1Tunnel(url ?? '', socket, head), socket);
    else {
      socket.write('HTTP/1.1 405 Method Not Allowed\r\nConnection: close\r\n\r\n');
      socket.destroySoon();
    }
  }

  /** Answers bytes that are no HTTP, but never in the middle of another answer, where ours would be taken for it. */
  #failed(error: Error & { code?: string }, socket: Duplex): void {
    const connection = this.#connections.get(socket);
    if (connection === undefined || connection.open === 0) {
      answerClientError(error, socket);
    } else if (connection.latest.req.complete) {
      // What came before was whole, so it is answered first. Nothing behind Connection: close is an error (RFC 9112
      // section 9.6); it is left alone, and the connection ends by itself.
      const isOver = error.code === 'HPE_CLOSED_CONNECTION';
      connection.whenIdle ??= isOver ? () => undefined : () => answerClientError(error, socket);
    } else if (connection.open > 1 || connection.latest.headersSent) {
      socket.destroy();
    } else {
      answerClientError(error, socket);
    }
  }

  #upgrade(request: IncomingMessage, socket: Socket, head: Buffer): void {
    // An answer that is still to come would be written between the frames.
    if ((this.#connections.get(socket)?.open ?? 0) > 0) socket.destroy();
    else this.#handler.upgrade(http1Head(request), request, socket, head);
  }
}
