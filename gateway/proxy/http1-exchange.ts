import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';

import { earlyHints } from './early-hints.ts';
import type { Exchange, ExchangeListener, MessageHead } from './exchange.ts';
import { originForm } from './origin-form.ts';
import type { Trailers } from './trailer-fields.ts';

/** How long a client that is still sending when it was answered may take to read the answer, in milliseconds. */
const LINGER_MS = 2000;

/** Up to this size a body is cheaper to copy than to write beside its head. */
const ONE_PIECE_BYTES = 16 * 1024;

/** What the requests of one connection have in common. */
export interface Http1Connection {
  /** Requests that are not answered to their end. */
  open: number;
  /** The answer to the request that came last. */
  latest: ServerResponse;
  /** Exchanges behind another one: Node does not tell their answers when the connection closes. */
  readonly queued: Set<{ abandon(): void }>;
  /** Called when the last request under way is answered, on a connection that must not go on. */
  whenIdle: (() => void) | undefined;
}

/** An HTTP/1.1 exchange (RFC 9112) on Node's parser. */
export class Http1Exchange implements Exchange {
  readonly protocol: 'http/1.0' | 'http/1.1';
  readonly method: string;
  readonly target: string;
  readonly authority: string;
  readonly rawHeaders: readonly string[];
  readonly peerAddress: string;
  readonly hasBody: boolean;
  readonly source: Readable;
  listener: ExchangeListener | undefined;
  sentBytes = 0;
  closed = false;
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #connection: Http1Connection;
  #waitsForContinue: boolean;
  #ended = false;

  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    connection: Http1Connection,
    waitsForContinue: boolean,
  ) {
    connection.open++;
    connection.latest = response;
    this.#connection = connection;
    if (response.socket === null) connection.queued.add(this);
    this.method = request.method ?? '';
    this.protocol = request.httpVersionMinor === 0 ? 'http/1.0' : 'http/1.1';
    this.rawHeaders = request.rawHeaders;
    this.authority = findAuthority(request.rawHeaders);
    this.target = originForm(request.url ?? '', this.authority);
    this.peerAddress = request.socket.remoteAddress ?? '';
    this.hasBody = hasBody(request.rawHeaders);
    this.source = request;
    this.#request = request;
    this.#response = response;
    this.#waitsForContinue = waitsForContinue;
    this.listener = undefined;
    response.on('close', () => this.#close());
    // The close event that follows carries all that matters; an error nobody hears would end the process.
    response.on('error', ignore);
  }

  get responded(): boolean {
    return this.#response.headersSent;
  }

  sendContinue(): void {
    if (!this.#waitsForContinue) return;
    this.#waitsForContinue = false;
    const send = () => {
      if (!this.responded && !this.closed) this.#response.writeContinue();
    };
    if (this.#isQueued) this.#response.once('socket', send);
    else send();
  }

  /**
   * Whether an earlier request of the connection is still being answered. Node would then put an interim answer
   * behind the head of the final one, where a client takes it for content.
   */
  get #isQueued(): boolean {
    return this.#response.socket === null;
  }

  sendInformation(status: number, headers: readonly string[]): void {
    // HTTP/1.0 knows no interim answers (RFC 9110 section 15.2).
    const isPossible = status === 103 && this.#request.httpVersionMinor > 0 && !this.#isQueued;
    if (!isPossible || this.responded || this.closed) return;
    const link = earlyHints(headers);
    if (link.length > 0) this.#response.writeEarlyHints({ link });
  }

  respond(status: number, headers: string[]): void {
    // What is left of a body that nobody reads cannot be told from the next request.
    if (this.#isUnread && (status >= 300 || this.#waitsForContinue)) headers.push('connection', 'close');
    this.#response.writeHead(status, headers);
  }

  write(chunk: Uint8Array): boolean {
    this.sentBytes += chunk.byteLength;
    const hasRoom = this.#response.write(chunk);
    if (!hasRoom && this.#response.listenerCount('drain') === 0) {
      this.#response.on('drain', () => this.listener?.onDrain());
    }
    return hasRoom;
  }

  flush(): void {
    this.#response.flushHeaders();
  }

  end(chunk?: Uint8Array, trailers?: Trailers): void {
    this.#ended = true;
    // Only a chunked answer has room for them, and Node leaves them out of any other.
    if (trailers !== undefined && !this.closed) this.#response.addTrailers(trailers);
    if (chunk !== undefined) this.sentBytes += chunk.byteLength;
    const isSending = this.#isUnread && !this.#waitsForContinue;
    if (isSending && !this.#response.shouldKeepAlive) this.#linger(chunk);
    else if (chunk === undefined) this.#response.end();
    else this.#finish(chunk);
  }

  #finish(chunk: Uint8Array): void {
    if (chunk.byteLength > ONE_PIECE_BYTES || !Buffer.isBuffer(chunk)) this.#response.end(chunk);
    // As text of one byte a character it leaves in one piece with the head, which costs less than two pieces joined.
    else this.#response.end(chunk.toString('latin1'), 'latin1');
  }

  destroy(): void {
    this.#request.destroy();
    this.#response.destroy();
  }

  /** The connection closed before it was this exchange's turn. */
  abandon(): void {
    this.#response.destroy();
    this.#close();
  }

  /** Whether a body is on its way that has not arrived. */
  get #isUnread(): boolean {
    return this.hasBody && !this.#request.complete;
  }

  /**
   * Closes late: a connection that is closed while the client still sends is reset, and the reset takes along the
   * answer that says why (RFC 9112 section 9.6).
   */
  #linger(chunk: Uint8Array | undefined): void {
    const finish = () => {
      clearTimeout(timer);
      this.#response.end();
    };
    const timer = setTimeout(finish, LINGER_MS);
    if (chunk !== undefined) this.#response.write(chunk);
    else this.#response.flushHeaders();
    this.#request.once('end', finish).once('close', finish).resume();
  }

  #close(): void {
    if (this.closed) return;
    this.closed = true;
    this.#connection.open--;
    this.#connection.queued.delete(this);
    if (this.#connection.open === 0) this.#connection.whenIdle?.();
    this.listener?.onClose(this.#ended && this.#response.writableFinished);
  }
}

/** The head of an HTTP/1.1 request without an answer to write: a WebSocket handshake. */
export function http1Head(request: IncomingMessage): MessageHead {
  const authority = findAuthority(request.rawHeaders);
  return {
    protocol: 'http/1.1',
    method: request.method ?? '',
    target: originForm(request.url ?? '', authority),
    authority,
    rawHeaders: request.rawHeaders,
    peerAddress: request.socket.remoteAddress ?? '',
  };
}

function ignore(): void {
  // Nothing is left to be done about it.
}

function findAuthority(headers: readonly string[]): string {
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i];
    if (name?.length === 4 && name.toLowerCase() === 'host') return headers[i + 1] ?? '';
  }
  return '';
}

function hasBody(headers: readonly string[]): boolean {
  for (let i = 0; i < headers.length; i += 2) {
    const length = headers[i]?.length;
    if (length === 14 && headers[i]?.toLowerCase() === 'content-length') return headers[i + 1] !== '0';
    if (length === 17 && headers[i]?.toLowerCase() === 'transfer-encoding') return true;
  }
  return false;
}
