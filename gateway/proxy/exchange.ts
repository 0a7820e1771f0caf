import type { Readable } from 'node:stream';

import type { Trailers } from './trailer-fields.ts';

/** The head of a client's message, whatever the protocol carried it. */
export interface MessageHead {
  readonly protocol: 'http/1.0' | 'http/1.1' | 'h2';
  readonly method: string;
  /** Path and query as received; this very text is authorized and forwarded. */
  readonly target: string;
  /** `Host` or `:authority` as received; empty when missing. */
  readonly authority: string;
  /** Flat list of names and values as received; h2 pseudo-headers are passed over by readers. */
  readonly rawHeaders: readonly string[];
  /** The address of the peer of the TCP connection. */
  readonly peerAddress: string;
}

/** Told once when the exchange is over. */
export interface ExchangeListener {
  /** The client went away or everything was written; `complete` says which. */
  onClose(complete: boolean): void;
  /** There is room for more of the answer. */
  onDrain(): void;
}

/** One request and its answer, over HTTP/1.1 or HTTP/2. Not reusable; all methods are synchronous. */
export interface Exchange extends MessageHead {
  /** Whether a request body follows, however it is framed. */
  readonly hasBody: boolean;
  /** The request body as it arrives. */
  readonly source: Readable;
  /** Whether the head of the answer was written. */
  readonly responded: boolean;
  /** Whether the client is gone or the answer is finished. */
  readonly closed: boolean;
  /** Bytes of answer body handed to the client. */
  readonly sentBytes: number;
  listener: ExchangeListener | undefined;
  /** Asks a client that waits for it to send the body (RFC 9110 section 10.1.1). */
  sendContinue(): void;
  /** Passes an interim answer such as 103 Early Hints (RFC 8297). */
  sendInformation(status: number, headers: readonly string[]): void;
  /** Writes the head of the answer: flat names and values. @param mayTrail whether trailers may come at its end. */
  respond(status: number, headers: string[], mayTrail?: boolean): void;
  /** @returns false when the client reads slower than this; wait for `onDrain`. */
  write(chunk: Uint8Array): boolean;
  /** Sends the head now, although no byte of the body is there yet. */
  flush(): void;
  /** @param trailers fields behind the content, where the head said that there may be some. */
  end(chunk?: Uint8Array, trailers?: Trailers): void;
  /** Breaks the exchange off so that the client cannot take it for complete. */
  destroy(): void;
}
