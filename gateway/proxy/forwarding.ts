import type { IncomingHttpHeaders } from 'node:http';

import type { Dispatcher } from 'undici';

import { GatewayError } from '../core/gateway-error.ts';
import type { UpstreamNode } from '../upstream/upstream-node.ts';
import { bodyGarbage } from './body-garbage.ts';
import type { Exchange } from './exchange.ts';
import type { RequestBody } from './request-body.ts';
import { neverConnected, upstreamFailure } from './upstream-failure.ts';

/** How much of an answer may be read before its head is decided on. */
const PREFIX_BYTES = 64 * 1024;

/** The request as it goes to the upstream. */
export interface ForwardRequest {
  readonly method: string;
  readonly path: string;
  /** Flat lower-case names and values. */
  readonly headers: string[];
  readonly body: RequestBody | undefined;
  /** Whether silence in the answer's body is normal (event streams). */
  readonly mayIdle: boolean;
  /** How long the upstream may take to begin its answer, and pause in it, in milliseconds. */
  readonly upstreamTimeoutMs: number;
  /** How long a client may take nothing of an answer that waits for it, in milliseconds. */
  readonly stallMs: number;
}

/** Decides what the client gets. */
export interface AnswerSink {
  /** Whether the first 64 KiB of the body are needed to decide on the head. */
  needsPrefix(status: number, headers: IncomingHttpHeaders): boolean;
  /**
   * Turns the upstream's head into the client's. `undefined` means that the client was answered otherwise and the
   * upstream's answer is to be dropped.
   */
  head(
    status: number,
    headers: IncomingHttpHeaders,
    prefix: Buffer | undefined,
  ): string[] | undefined | Promise<string[] | undefined>;
  /** Told of bytes of the body before they go out. @returns false when it broke the answer off instead. */
  passes(bytes: number): boolean;
  /** The request failed before any head was written. */
  fail(error: unknown): void;
  /** A node could not be connected to. */
  unreachable(node: UpstreamNode): void;
}

/**
 * One request on its way to the upstream and back. Nothing is buffered but a prefix that was asked for; both sides
 * close together. Sent again only when it cannot have run: no connection, or no body and an idempotent method
 * (RFC 9110 section 9.2.2) with no byte of an answer.
 */
export class Forwarding implements Dispatcher.DispatchHandler {
  /** `performance.now()` when the request was handed over, when the upstream's head came, when the client's left. */
  dispatchedMs = 0;
  headMs = 0;
  openedMs = 0;
  node: UpstreamNode;
  readonly #exchange: Exchange;
  readonly #request: ForwardRequest;
  readonly #sink: AnswerSink;
  readonly #nodes: readonly UpstreamNode[];
  #attempt = 0;
  #nodeIndex = 0;
  readonly #attempts: number;
  #controller: Dispatcher.DispatchController | undefined;
  #status = 0;
  #headers: IncomingHttpHeaders = {};
  #state: 'waiting' | 'prefix' | 'deciding' | 'open' | 'dropped' | 'done' = 'waiting';
  #held: Buffer[] = [];
  #heldBytes = 0;
  #isComplete = false;
  #remaining = -1;
  #stalled: NodeJS.Timeout | undefined;

  /** @param nodes those to try, best first; at least one. */
  constructor(
    exchange: Exchange,
    request: ForwardRequest,
    sink: AnswerSink,
    nodes: readonly [UpstreamNode, ...UpstreamNode[]],
    attempts: number,
  ) {
    this.#exchange = exchange;
    this.#request = request;
    this.#sink = sink;
    this.#nodes = nodes;
    this.#attempts = attempts;
    this.node = nodes[0];
  }

  /** Bytes of request body that came from the client. */
  get receivedBytes(): number {
    return this.#request.body?.receivedBytes ?? 0;
  }

  /** Hands the request to the upstream. */
  start(): void {
    this.dispatchedMs = performance.now();
    this.node = this.#nodes[this.#nodeIndex % this.#nodes.length] ?? this.node;
    const { method, path, headers, body = null, mayIdle, upstreamTimeoutMs } = this.#request;
    const bodyTimeout = mayIdle ? 0 : upstreamTimeoutMs;
    this.node.pool.dispatch(
      { path, method, headers, body, headersTimeout: upstreamTimeoutMs, bodyTimeout },
      this,
    );
  }

  /** The client went away: the upstream must not work for nobody. */
  clientGone(): void {
    clearTimeout(this.#stalled);
    if (this.#state === 'done') return;
    this.#state = 'done';
    this.#controller?.abort(new GatewayError('bad_request', 'the client went away'));
    this.#request.body?.destroy();
  }

  /** The client has room for more. */
  drained(): void {
    clearTimeout(this.#stalled);
    this.#controller?.resume();
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#exchange.closed) controller.abort(new GatewayError('bad_request', 'the client went away'));
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: IncomingHttpHeaders,
  ): void {
    if (status < 100 || status > 599) {
      // RFC 9110 section 15: no such class of status; HTTP/2 could not even pass it on.
      controller.abort(
        new GatewayError('upstream_failed', `${this.node.origin} answered with status ${status}`),
      );
      return;
    }
    if (status < 200) {
      if (status === 103) this.#exchange.sendInformation(status, linkHeaders(headers));
      return;
    }
    this.headMs = performance.now();
    this.#status = status;
    this.#headers = headers;
    if (this.#sink.needsPrefix(status, headers)) this.#state = 'prefix';
    else this.#decide(controller, undefined);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#state === 'open') {
      this.#pass(controller, chunk);
    } else if (this.#state === 'prefix' || this.#state === 'deciding') {
      // undici reuses nothing of its chunks, so they may be kept without a copy.
      this.#held.push(chunk);
      this.#heldBytes += chunk.byteLength;
      if (this.#state === 'prefix' && this.#heldBytes >= PREFIX_BYTES)
        this.#decide(controller, Buffer.concat(this.#held));
    }
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    this.#isComplete = true;
    if (this.#state === 'prefix') this.#decide(controller, Buffer.concat(this.#held));
    else if (this.#state === 'open') this.#finish();
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (this.#state === 'done' || this.#state === 'dropped') return;
    if (this.#state === 'open') {
      // The client has a part of the answer: it must see a broken connection, never a clean end.
      this.#state = 'done';
      this.#exchange.destroy();
      return;
    }
    if (neverConnected(error)) this.#sink.unreachable(this.node);
    if (this.#mayTryAgain(error)) {
      this.#attempt++;
      // A connection that broke says nothing against its node; one that was refused does.
      if (neverConnected(error)) this.#nodeIndex++;
      this.start();
      return;
    }
    this.#state = 'done';
    const bodyError = this.#request.body?.errored;
    this.#request.body?.destroy();
    this.#sink.fail(bodyError instanceof GatewayError ? bodyError : upstreamFailure(error, this.node.origin));
  }

  #mayTryAgain(error: Error): boolean {
    if (this.#state !== 'waiting' || this.#exchange.closed || error instanceof GatewayError) return false;
    if (this.#request.body?.destroyed === true) return false;
    if (neverConnected(error)) return this.#attempt + 1 < Math.max(this.#nodes.length, this.#attempts);
    if (this.#request.body !== undefined || this.#attempt + 1 >= this.#attempts) return false;
    return isIdempotent(this.#request.method) && isBrokenConnection(error);
  }

  #decide(controller: Dispatcher.DispatchController, prefix: Buffer | undefined): void {
    this.#state = 'deciding';
    const decided = this.#sink.head(this.#status, this.#headers, prefix);
    if (!(decided instanceof Promise)) {
      this.#open(controller, decided);
      return;
    }
    controller.pause();
    decided.then(
      (headers) => {
        this.#open(controller, headers);
        if (this.#state === 'open' && !this.#isComplete) controller.resume();
      },
      (error: unknown) => {
        if (this.#state === 'done') return;
        this.#drop(controller);
        this.#sink.fail(error);
      },
    );
  }

  #open(controller: Dispatcher.DispatchController, headers: string[] | undefined): void {
    if (this.#state === 'done' || this.#exchange.closed) return;
    if (headers === undefined) {
      this.#drop(controller);
      return;
    }
    this.#state = 'open';
    const length = this.#headers['content-length'];
    this.#remaining = length === undefined || this.#request.method === 'HEAD' ? -1 : Number(length);
    try {
      this.#exchange.respond(this.#status, headers);
    } catch (error) {
      this.#drop(controller);
      this.#sink.fail(
        new GatewayError('upstream_failed', 'the answer cannot be passed on', { cause: error }),
      );
      return;
    }
    this.openedMs = performance.now();
    const held = this.#held;
    this.#held = [];
    for (const chunk of held) this.#pass(controller, chunk);
    if (this.#isComplete) this.#finish();
    else if (this.#remaining < 0) process.nextTick(() => this.#flush());
  }

  /** The client was answered otherwise; what the upstream still says is of no use. */
  #drop(controller: Dispatcher.DispatchController): void {
    this.#state = 'dropped';
    this.#held = [];
    if (!this.#isComplete) controller.abort(new GatewayError('internal', 'the answer was replaced'));
  }

  #pass(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    bodyGarbage.count(chunk.byteLength);
    // RFC 9110 section 15.3.6: no content here, whatever the upstream sends; HTTP/2 would break off.
    if (this.#status === 205 || !this.#sink.passes(chunk.byteLength)) return;
    if (this.#remaining >= 0) {
      this.#remaining -= chunk.byteLength;
      if (this.#remaining === 0) {
        // The last byte that was announced: head, body and end leave in one write.
        this.#state = 'done';
        this.#exchange.end(chunk);
        return;
      }
    }
    if (this.#exchange.write(chunk)) return;
    controller.pause();
    // Clients that never read would hold the upstream's connections until nobody else gets one.
    clearTimeout(this.#stalled);
    this.#stalled = setTimeout(() => this.#exchange.destroy(), this.#request.stallMs).unref();
  }

  #finish(): void {
    if (this.#state === 'done') return;
    this.#state = 'done';
    this.#exchange.end();
  }

  #flush(): void {
    if (this.#state === 'open' && this.#exchange.sentBytes === 0) this.#exchange.flush();
  }
}

function isIdempotent(method: string): boolean {
  return method === 'GET' || method === 'HEAD' || method === 'OPTIONS';
}

/** A kept connection that the upstream closed at the moment of use. */
function isBrokenConnection(error: Error & { code?: string }): boolean {
  return error.code === 'UND_ERR_SOCKET' || error.code === 'ECONNRESET' || error.code === 'EPIPE';
}

function linkHeaders(headers: IncomingHttpHeaders): string[] {
  const values = [headers['link'] ?? []].flat();
  return values.flatMap((value) => ['link', value]);
}
