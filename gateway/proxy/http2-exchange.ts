import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { constants } from 'node:http2';
import type { Readable } from 'node:stream';

import { earlyHints } from './early-hints.ts';
import type { Exchange, ExchangeListener } from './exchange.ts';
import type { Trailers } from './trailer-fields.ts';

/** Answers that end with their head. */
const NO_CONTENT = new Set([204, 205, 304]);

/** Whoever keeps count of a stream. */
export interface StreamOwner {
  readonly peerAddress: string;
  /** Whether a body follows the head. */
  readonly hasBody: boolean;
  /** The stream is over; told once. */
  left(): void;
}

/** An HTTP/2 exchange (RFC 9113): one stream of a connection. */
export class Http2Exchange implements Exchange {
  readonly protocol = 'h2';
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
  readonly #stream: ServerHttp2Stream;
  readonly #owner: StreamOwner;
  #waitsForContinue: boolean;
  #ended = false;
  #trailers: Trailers | undefined;

  constructor(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    rawHeaders: readonly string[],
    owner: StreamOwner,
  ) {
    this.method = headers[':method'] ?? '';
    this.target = headers[':path'] ?? '';
    this.authority = headers[':authority'] ?? headers.host ?? '';
    this.rawHeaders = rawHeaders;
    this.peerAddress = owner.peerAddress;
    this.hasBody = owner.hasBody;
    this.source = stream;
    this.#stream = stream;
    this.#owner = owner;
    this.#waitsForContinue = headers.expect === '100-continue';
    this.listener = undefined;
    // A reset by the client surfaces as an error; the close event that follows carries all that matters.
    stream.on('error', ignore);
    stream.on('close', () => this.#close());
    // A client may reset a stream before anybody has seen it; then no event comes any more.
    if (stream.destroyed) setImmediate(() => this.#close());
  }

  /** A stream that was reset takes nothing, although it may not be destroyed yet. */
  get #isGone(): boolean {
    return this.#stream.destroyed || this.#stream.closed;
  }

  get responded(): boolean {
    return this.#stream.headersSent;
  }

  sendContinue(): void {
    if (!this.#waitsForContinue) return;
    this.#waitsForContinue = false;
    if (!this.#isGone && !this.responded) this.#stream.additionalHeaders({ ':status': 100 });
  }

  sendInformation(status: number, headers: readonly string[]): void {
    if (status !== 103 || this.responded || this.#isGone) return;
    const links = earlyHints(headers);
    if (links.length > 0) this.#stream.additionalHeaders({ ':status': 103, link: links.join(', ') });
  }

  respond(status: number, headers: string[], mayTrail = false): void {
    if (this.#isGone) return;
    headers.unshift(':status', String(status));
    const hasContent = this.method !== 'HEAD' && !NO_CONTENT.has(status);
    if (!mayTrail || !hasContent) {
      this.#stream.respond(headers);
      return;
    }
    this.#stream.respond(headers, { waitForTrailers: true });
    // Without any, Node ends the stream with an empty frame.
    this.#stream.once('wantTrailers', () => this.#stream.sendTrailers(this.#trailers ?? {}));
  }

  write(chunk: Uint8Array): boolean {
    if (this.#isGone) return true;
    this.sentBytes += chunk.byteLength;
    const hasRoom = this.#stream.write(chunk);
    if (!hasRoom && this.#stream.listenerCount('drain') === 0) {
      this.#stream.on('drain', () => this.listener?.onDrain());
    }
    return hasRoom;
  }

  flush(): void {
    // An HTTP/2 head is a frame of its own and has left already.
  }

  end(chunk?: Uint8Array, trailers?: Trailers): void {
    this.#ended = true;
    this.#trailers = trailers;
    if (this.#isGone) return;
    if (chunk === undefined) {
      this.#stream.end();
    } else {
      this.sentBytes += chunk.byteLength;
      this.#stream.end(chunk);
    }
    // A client that still sends a body nobody reads is told to stop (RFC 9113 section 8.1).
    if (this.hasBody && !this.#stream.readableEnded) {
      this.#stream.resume();
      this.#stream.close(constants.NGHTTP2_NO_ERROR);
    }
  }

  destroy(): void {
    // close() would send the end of the answer before its reset, and the client would take the half for the whole.
    this.#stream.destroy(new Error('the answer is broken off'));
  }

  #close(): void {
    if (this.closed) return;
    this.closed = true;
    this.#owner.left();
    // `writableFinished` is already true on an aborted stream, so the reset code is asked too.
    const { listener } = this;
    // Node keeps tables of streams that ended: nothing of the exchange must hang on them until the next full collection.
    this.listener = undefined;
    listener?.onClose(this.#ended && this.#stream.rstCode === constants.NGHTTP2_NO_ERROR);
  }
}

function ignore(): void {}
