import {
  constants,
  createServer,
  type Http2Server as NodeHttp2Server,
  type Http2Session,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { Socket } from 'node:net';

import { DenseSet, type Placed } from '../core/dense-set.ts';
import { Http2Exchange, type StreamOwner } from '../proxy/http2-exchange.ts';
import { http2Tunnel } from '../proxy/tunnel-request.ts';
import { KEEP_ALIVE_MS, type ListenerLimits, type MessageHandler } from './http1-server.ts';

/** Streams that one connection may have open; browsers use up to a hundred. */
const STREAMS = 128;
/** HEADERS frame flag (RFC 9113 section 6.2). */
const END_STREAM = 1;
const WINDOW_BYTES = 256 * 1024;
/** What queues, tables and streams of one connection may take, in MiB; a new stream beyond it is refused. */
const MEMORY_MIB = 8;
/**
 * Streams that a client may give up at once, and in each second (RFC 9113 section 10.5, rapid reset). A browser gives
 * up what a page still loads when its person goes on to another: at most {@link STREAMS}.
 */
const RESETS_AT_ONCE = 128;
const RESETS_A_SECOND = 32;
/** Malformed frames and streams that were refused, after which the connection ends. */
const FAULTS = 100;
/** Header fields that reach the guard, which takes 256 and says so; what is beyond resets the stream. */
const HEADER_PAIRS = 320;
const SETTINGS_ENTRIES = 32;
/** PING and SETTINGS frames of one connection between two sweeps; browsers send one now and then. */
const CONTROL_FRAMES = 50;
const SWEEP_MS = 1000;
/** What a connection may bring between two sweeps beside heads and bodies. */
const SPARE_BYTES = 256 * 1024;
/** A WINDOW_UPDATE frame in a TLS record of its own for every frame of an answer is a hundredth of it. */
const WRITTEN_TO_READ = 32;
const NOT_WAITING = 0;

/** What is known of a connection beside its streams. */
interface Connection extends Placed {
  readonly session: ServerHttp2Session;
  readonly socket: Socket;
  readonly peerAddress: string;
  /** Whether it ends with its first answer. */
  readonly isLast: boolean;
  /** Streams that are open. */
  readonly streams: DenseSet<FollowedStream>;
  /** Streams that were opened since the last sweep. */
  opened: number;
  /** Streams whose body is on its way, and whether any was since the last sweep. */
  bodies: number;
  hadBody: boolean;
  /** Bytes read and written until the last sweep. */
  readBytes: number;
  writtenBytes: number;
  /** When the last stream ended, or the connection began. */
  idleSinceMs: number;
  hasServed: boolean;
  /** PING and SETTINGS frames since the last sweep. */
  controlFrames: number;
}

/**
 * An HTTP/2 server (RFC 9113) that is handed its connections and never listens itself. Everything that a client can
 * make the gateway do or keep without a request in return is bounded here (RFC 9113 section 10.5).
 */
export class Http2Server {
  readonly #server: NodeHttp2Server;
  readonly #handler: MessageHandler;
  readonly #limits: ListenerLimits;
  readonly #connections = new DenseSet<Connection>();
  readonly #bySession = new WeakMap<Http2Session, Connection>();
  readonly #sweeper: NodeJS.Timeout;
  #inHand: Pick<Connection, 'socket' | 'isLast'> | undefined;

  constructor(limits: ListenerLimits, handler: MessageHandler) {
    this.#handler = handler;
    this.#limits = limits;
    this.#server = createServer({
      settings: {
        maxConcurrentStreams: STREAMS,
        maxHeaderListSize: limits.headerBytes,
        initialWindowSize: WINDOW_BYTES,
        enablePush: false,
        enableConnectProtocol: false,
      },
      maxSessionMemory: MEMORY_MIB,
      maxHeaderListPairs: HEADER_PAIRS,
      maxSettings: SETTINGS_ENTRIES,
      maxSessionInvalidFrames: FAULTS,
      maxSessionRejectedStreams: FAULTS,
      streamResetBurst: RESETS_AT_ONCE,
      streamResetRate: RESETS_A_SECOND,
      strictFieldWhitespaceValidation: true,
      strictSingleValueFields: true,
      unknownProtocolTimeout: 1000,
    });
    this.#server.on('session', (session) => this.#begin(session));
    this.#server.on('stream', (stream: ServerHttp2Stream, headers, flags, rawHeaders) =>
      this.#take(stream, headers, flags, rawHeaders),
    );
    this.#server.on('sessionError', () => undefined);
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_MS).unref();
  }

  /** Takes a connection over. @param isLast whether it ends with its first answer. */
  connect(socket: Socket, isLast: boolean): void {
    // The session is told of before this call returns.
    this.#inHand = { socket, isLast };
    this.#server.emit('connection', socket);
  }

  /** Tells clients to go once their requests under way are answered. */
  stop(): void {
    for (const { session } of this.#connections.items()) session.close();
  }

  /** Stops the sweeping; connections are the caller's to close. */
  close(): void {
    clearInterval(this.#sweeper);
  }

  #begin(session: ServerHttp2Session): void {
    if (this.#inHand === undefined) {
      session.destroy();
      return;
    }
    const connection: Connection = {
      ...this.#inHand,
      peerAddress: this.#inHand.socket.remoteAddress ?? '',
      session,
      streams: new DenseSet(),
      opened: 0,
      bodies: 0,
      hadBody: false,
      readBytes: 0,
      writtenBytes: 0,
      idleSinceMs: performance.now(),
      hasServed: false,
      controlFrames: 0,
      place: -1,
    };
    this.#connections.add(connection);
    this.#bySession.set(session, connection);
    session.on('close', () => this.#connections.delete(connection));
    session.on('error', () => session.destroy());
    const count = () => {
      connection.controlFrames++;
      if (connection.controlFrames > CONTROL_FRAMES) calmDown(session);
    };
    session.on('ping', count);
    session.on('remoteSettings', count);
    // The window of the whole connection, so that one upload can run at full speed.
    session.setLocalWindowSize(WINDOW_BYTES * 4);
  }

  #take(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    flags: number,
    rawHeaders: readonly string[],
  ): void {
    const connection = stream.session && this.#bySession.get(stream.session);
    if (connection === undefined) {
      stream.destroy();
      return;
    }
    const hasBody = (flags & END_STREAM) !== END_STREAM;
    const followed = new FollowedStream(stream, connection, hasBody);
    if (headers[':method'] === 'CONNECT' && this.#handler.tunnel !== undefined) {
      stream.once('close', () => followed.left());
      this.#handler.tunnel(http2Tunnel(headers[':authority'] ?? '', stream), connection.socket);
    } else {
      this.#handler.handle(new Http2Exchange(stream, headers, rawHeaders, followed), connection.socket);
    }
    if (connection.isLast) connection.session.close();
  }

  #sweep(): void {
    const nowMs = performance.now();
    for (const connection of this.#connections.items()) {
      this.#endFlood(connection);
      if (connection.streams.size === 0) this.#endIdle(connection, nowMs);
      else this.#endWaiting(connection, nowMs);
    }
  }

  /** Frames that nobody has to answer are no reason to read for ever. */
  #endFlood(connection: Connection): void {
    const { session, opened, hadBody, readBytes, writtenBytes } = connection;
    connection.controlFrames = 0;
    connection.opened = 0;
    connection.hadBody = connection.bodies > 0;
    if (session.destroyed) return;
    connection.readBytes = session.socket.bytesRead;
    connection.writtenBytes = session.socket.bytesWritten;
    // Whoever takes a large answer opens its window again and again.
    const windows = (connection.writtenBytes - writtenBytes) / WRITTEN_TO_READ;
    const most = SPARE_BYTES + opened * this.#limits.headerBytes + windows;
    if (!hadBody && connection.readBytes - readBytes > most) calmDown(session);
  }

  /**
   * Ends connections that ask for nothing: whoever keeps one alive by PING, or by a head of which a byte comes now and
   * then, has no more of it than a client that is silent.
   */
  #endIdle({ session, idleSinceMs, hasServed }: Connection, nowMs: number): void {
    const mayIdleMs = hasServed ? KEEP_ALIVE_MS : this.#limits.headerTimeoutMs;
    if (nowMs - idleSinceMs < mayIdleMs) return;
    // The second time there is nothing left to wait for.
    if (session.closed) session.destroy();
    else session.close();
  }

  /** Gives up answers that were written and that the client keeps from being sent, by a window that stays closed. */
  #endWaiting({ streams }: Connection, nowMs: number): void {
    for (const followed of streams.items()) {
      const { stream, sinceMs } = followed;
      if (!stream.writableEnded) continue;
      if (sinceMs === NOT_WAITING) followed.sinceMs = nowMs;
      else if (nowMs - sinceMs >= 2 * this.#limits.bodyIdleTimeoutMs)
        stream.destroy(new Error('the client takes nothing of its answer'));
    }
  }
}

function calmDown(session: ServerHttp2Session): void {
  // With an error, so that no answer under way gets an end that its client takes for the whole.
  if (!session.destroyed)
    session.destroy(new Error('a flood of frames'), constants.NGHTTP2_ENHANCE_YOUR_CALM);
}

/** A stream that is open: its connection keeps count of it. */
class FollowedStream implements Placed, StreamOwner {
  readonly stream: ServerHttp2Stream;
  readonly hasBody: boolean;
  /** When it was first seen waiting for its client although its answer was written. */
  sinceMs = NOT_WAITING;
  place = -1;
  readonly #connection: Connection;

  constructor(stream: ServerHttp2Stream, connection: Connection, hasBody: boolean) {
    this.stream = stream;
    this.hasBody = hasBody;
    this.#connection = connection;
    connection.streams.add(this);
    connection.opened++;
    connection.hasServed = true;
    if (!hasBody) return;
    connection.bodies++;
    connection.hadBody = true;
  }

  get peerAddress(): string {
    return this.#connection.peerAddress;
  }

  left(): void {
    const connection = this.#connection;
    if (this.hasBody) connection.bodies--;
    connection.streams.delete(this);
    if (connection.streams.size === 0) connection.idleSinceMs = performance.now();
  }
}
