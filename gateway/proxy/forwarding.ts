import type { IncomingHttpHeaders } from 'node:http';

import type { Dispatcher } from 'undici';

import { GatewayError } from '../core/gateway-error.ts';
import type { UpstreamNode } from '../upstream/upstream-node.ts';
import { joinRepeatedHeaders } from './repeated-headers.ts';
import { chunkGarbage } from '../core/chunk-garbage.ts';
import { troubleOf } from '../upstream/health-check.ts';
import { Attempt, type AttemptOwner } from './attempt.ts';
import type { Exchange } from './exchange.ts';
import { linkHeaders } from './early-hints.ts';
import type { AnswerSink, ForwardRequest } from './forward-request.ts';
import { passableTrailers, type Trailers } from './trailer-fields.ts';
import { type Retries, Tries } from './tries.ts';
import { neverConnected, upstreamFailure } from './upstream-failure.ts';
import { type SlowExchange, waitingClients } from './waiting-clients.ts';

/** How much of an answer may be read before its head is decided on. */
const PREFIX_BYTES = 64 * 1024;

type State = 'waiting' | 'prefix' | 'deciding' | 'open' | 'dropped' | 'done';

/**
 * One request on its way to the upstream and back. Nothing is buffered but a prefix that was asked for; both sides
 * close together. Sent again only when it cannot have run (no connection), or when it changes nothing, has no body and
 * no byte of an answer came (RFC 9110 section 9.2.2); within the budget of second tries.
 */
export class Forwarding implements AttemptOwner, SlowExchange {
  /** `performance.now()` when the request was handed over, when the upstream's head came, when the client's left. */
  dispatchedMs = 0;
  headMs = 0;
  openedMs = 0;
  node: UpstreamNode;
  readonly #exchange: Exchange;
  readonly #request: ForwardRequest;
  readonly #sink: AnswerSink;
  readonly #tries: Tries;
  #attempt: Attempt | undefined;
  #controller: Dispatcher.DispatchController | undefined;
  #status = 0;
  #headers: IncomingHttpHeaders = {};
  #state: State = 'waiting';
  #held: Buffer[] = [];
  #heldBytes = 0;
  #isComplete = false;
  #remaining = -1;
  #trailers: Trailers | undefined;
  #stalled: NodeJS.Timeout | undefined;

  /** @param node the first to be tried. */
  constructor(
    exchange: Exchange,
    request: ForwardRequest,
    sink: AnswerSink,
    node: UpstreamNode,
    retries: Retries,
  ) {
    this.#exchange = exchange;
    this.#request = request;
    this.#sink = sink;
    this.#tries = new Tries(retries);
    this.node = node;
  }

  /** Bytes of request body that came from the client. */
  get receivedBytes(): number {
    return this.#request.body?.receivedBytes ?? 0;
  }

  /** Hands the request to the upstream. */
  start(): void {
    this.dispatchedMs = performance.now();
    this.#tries.begin();
    this.#controller = undefined;
    const { method, path, headers, body = null, mayIdle, upstreamTimeoutMs } = this.#request;
    const bodyTimeout = mayIdle ? 0 : upstreamTimeoutMs;
    this.#attempt = new Attempt(this, this.node, mayIdle);
    this.#attempt.send({ path, method, headers, body, headersTimeout: upstreamTimeoutMs, bodyTimeout });
  }

  /** The client went away: the upstream must not work for nobody. */
  clientGone(): void {
    clearTimeout(this.#stalled);
    waitingClients.forget(this);
    if (this.#state === 'done') return;
    this.#over('done');
    this.#controller?.abort(new GatewayError('bad_request', 'the client went away'));
    this.#request.body?.destroy();
  }

  /** The client has room for more. */
  drained(): void {
    clearTimeout(this.#stalled);
    waitingClients.forget(this);
    this.#controller?.resume();
  }

  giveUp(): void {
    this.#exchange.destroy();
  }

  begun(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#exchange.closed) controller.abort(new GatewayError('bad_request', 'the client went away'));
  }

  informed(status: number, headers: IncomingHttpHeaders): void {
    if (status === 103) this.#exchange.sendInformation(status, linkHeaders(headers));
  }

  answered(controller: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    this.headMs = performance.now();
    joinRepeatedHeaders(headers);
    this.#status = status;
    this.#headers = headers;
    if (this.#sink.needsPrefix(status, headers)) this.#state = 'prefix';
    else this.#decide(controller, undefined);
  }

  data(controller: Dispatcher.DispatchController, chunk: Buffer): void {
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

  ended(controller: Dispatcher.DispatchController, trailers: IncomingHttpHeaders): void {
    this.#isComplete = true;
    if (this.#request.takesTrailers) this.#trailers = passableTrailers(trailers);
    if (this.#state === 'prefix') this.#decide(controller, Buffer.concat(this.#held));
    else if (this.#state === 'open') this.#finish();
  }

  broke(error: Error): void {
    const bodyError = this.#request.body?.errored;
    // What this side broke off says nothing against the node.
    const isOurs = error instanceof GatewayError || bodyError instanceof GatewayError;
    if (!isOurs && this.#state !== 'done') this.#sink.trouble(this.node, troubleOf(error));
    if (this.#state === 'done' || this.#state === 'dropped') return;
    if (this.#state === 'open') {
      this.#over('done');
      this.#sink.brokeOff();
      return;
    }
    const failure = isOurs && bodyError instanceof GatewayError ? bodyError : error;
    if (this.#mayTryAgain(error)) this.#tryAgain(neverConnected(error), failure);
    else this.#fail(failure);
  }

  nodeLost(reason: 'unhealthy' | 'fenced'): void {
    if (this.#state !== 'waiting' || this.#attempt === undefined) return;
    if (this.#request.isReplayable) {
      if (this.#tries.take()) this.#moveOn(this.#attempt);
    } else if (reason === 'fenced') {
      // Whether it ran is not known, and it must not run twice: only the person can look and decide.
      this.#attempt.giveUp();
      this.#fail(new GatewayError('upstream_timeout', `${this.node.origin} is no longer primary`));
    }
  }

  /** Leaves a node that does not answer, as soon as there is another one; an answer that comes before is taken. */
  #moveOn(left: Attempt): void {
    const isStill = () => this.#state === 'waiting' && this.#attempt === left;
    const go = (node: UpstreamNode | undefined) => {
      if (node === undefined || !isStill()) return;
      left.giveUp();
      this.node = node;
      this.start();
    };
    const next = this.#sink.another(this.node);
    if (next instanceof Promise) next.then(go).catch(() => undefined);
    else go(next);
  }

  #mayTryAgain(error: Error): boolean {
    if (this.#state !== 'waiting' || this.#exchange.closed || error instanceof GatewayError) return false;
    if (this.#request.body?.destroyed === true) return false;
    return this.#tries.mayFollow(error, this.#request.isReplayable);
  }

  #tryAgain(isElsewhere: boolean, failure: Error): void {
    this.#attempt = undefined;
    // A connection that broke says nothing against its node; one that was refused does.
    const next = isElsewhere ? this.#sink.another(this.node) : this.node;
    const go = (node: UpstreamNode | undefined) => {
      if (this.#state !== 'waiting') return;
      if (node === undefined) {
        this.#fail(failure);
        return;
      }
      this.node = node;
      this.start();
    };
    if (next instanceof Promise) next.then(go).catch((error: unknown) => this.#fail(error));
    else go(next);
  }

  #fail(error: unknown): void {
    if (this.#state === 'done') return;
    this.#over('done');
    this.#request.body?.destroy();
    this.#sink.fail(upstreamFailure(error, this.node.origin));
  }

  #over(state: 'done' | 'dropped'): void {
    this.#tries.end();
    this.#state = state;
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
      this.#exchange.respond(this.#status, headers, this.#request.takesTrailers && length === undefined);
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
    else if (this.#remaining < 0)
      process.nextTick(() => {
        if (this.#state === 'open' && this.#exchange.sentBytes === 0) this.#exchange.flush();
      });
  }

  /** The client was answered otherwise; what the upstream still says is of no use. */
  #drop(controller: Dispatcher.DispatchController): void {
    this.#over('dropped');
    this.#held = [];
    if (!this.#isComplete) controller.abort(new GatewayError('internal', 'the answer was replaced'));
  }

  #pass(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    chunkGarbage.count(chunk.byteLength);
    // RFC 9110 section 15.3.6: no content here, whatever the upstream sends; HTTP/2 would break off.
    if (this.#status === 205 || !this.#sink.passes(chunk.byteLength)) return;
    if (this.#remaining >= 0) {
      this.#remaining -= chunk.byteLength;
      if (this.#remaining === 0) {
        // The last byte that was announced: head, body and end leave in one write.
        this.#over('done');
        this.#exchange.end(chunk);
        return;
      }
    }
    if (this.#exchange.write(chunk)) return;
    controller.pause();
    // Clients that never read would hold the upstream's connections until nobody else gets one.
    clearTimeout(this.#stalled);
    this.#stalled = setTimeout(() => this.giveUp(), this.#request.stallMs).unref();
    waitingClients.note(this);
  }

  #finish(): void {
    if (this.#state === 'done') return;
    this.#over('done');
    this.#exchange.end(undefined, this.#trailers);
  }
}
