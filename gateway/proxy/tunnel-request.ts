import { STATUS_CODES } from 'node:http';
import type { ServerHttp2Stream } from 'node:http2';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/** How long a refused client may take to read why, in milliseconds. */
const LINGER_MS = 2000;

/** A client that asks for a tunnel with CONNECT (RFC 9110 section 9.3.6). Either of the two methods is called, once. */
export interface TunnelRequest {
  /** Host and port as they stand in the request. */
  readonly target: string;
  readonly peerAddress: string;
  /** Whether the client is gone already. */
  readonly isGone: boolean;
  /** Says yes. @returns the client's end. */
  accept(): Duplex;
  /** Says no, with a problem document (RFC 9457), and ends it. */
  refuse(status: number, problem: Readonly<Record<string, unknown>>): void;
}

/** CONNECT over HTTP/1.1: the connection becomes the tunnel. @param head bytes that came behind the request. */
export function http1Tunnel(target: string, socket: Socket, head: Buffer): TunnelRequest {
  // What goes wrong from here on shows as the connection's end.
  socket.on('error', () => socket.destroy());
  return {
    target,
    peerAddress: socket.remoteAddress ?? '',
    get isGone() {
      return socket.destroyed;
    },
    accept: () => {
      if (head.length > 0) socket.unshift(head);
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      return socket;
    },
    refuse: (status, problem) => {
      const body = JSON.stringify(problem);
      const cut = setTimeout(() => socket.destroy(), LINGER_MS).unref();
      socket.once('close', () => clearTimeout(cut));
      socket.end(
        `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\ncontent-type: application/problem+json\r\n` +
          `cache-control: no-store\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
      );
    },
  };
}

/** CONNECT over HTTP/2 (RFC 9113 section 8.5): one stream becomes the tunnel. */
export function http2Tunnel(target: string, stream: ServerHttp2Stream): TunnelRequest {
  stream.on('error', () => stream.destroy());
  return {
    target,
    peerAddress: stream.session?.socket.remoteAddress ?? '',
    get isGone() {
      return stream.destroyed || stream.closed;
    },
    accept: () => {
      stream.respond({ ':status': 200 });
      return stream;
    },
    refuse: (status, problem) => {
      if (stream.destroyed || stream.closed) return;
      stream.respond({
        ':status': status,
        'content-type': 'application/problem+json',
        'cache-control': 'no-store',
      });
      stream.end(JSON.stringify(problem));
    },
  };
}
