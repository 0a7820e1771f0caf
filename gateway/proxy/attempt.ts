import type { IncomingHttpHeaders } from 'node:http';

import type { Dispatcher } from 'undici';

import { GatewayError } from '../core/gateway-error.ts';
import type { NodeWaiter, UpstreamNode } from '../upstream/upstream-node.ts';

/** Whoever made an attempt: told what comes of it, unless it was given up. */
export interface AttemptOwner {
  /** See {@link NodeWaiter}. */
  nodeLost(reason: 'unhealthy' | 'fenced'): void;
  begun(controller: Dispatcher.DispatchController): void;
  /** An interim answer came. */
  informed(status: number, headers: IncomingHttpHeaders): void;
  /** The final answer began. */
  answered(controller: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void;
  data(controller: Dispatcher.DispatchController, chunk: Buffer): void;
  ended(controller: Dispatcher.DispatchController, trailers: IncomingHttpHeaders): void;
  broke(error: Error): void;
}

/** Interim answers of one request; an upstream that has more to say says nothing. */
const INTERIM_ANSWERS = 32;

/**
 * One try of a request at one node. It counts as the node's work until it is over, and what comes of a try that was
 * given up reaches nobody.
 */
export class Attempt implements Dispatcher.DispatchHandler, NodeWaiter {
  place = -1;
  readonly #owner: AttemptOwner;
  readonly #node: UpstreamNode;
  readonly #isStream: boolean;
  #controller: Dispatcher.DispatchController | undefined;
  #isGivenUp = false;
  #interim = 0;

  constructor(owner: AttemptOwner, node: UpstreamNode, isStream: boolean) {
    this.#owner = owner;
    this.#node = node;
    this.#isStream = isStream;
  }

  /** Sends it. The handler's errors reach the owner through `broke`. */
  send(options: Dispatcher.DispatchOptions & { servername?: string }): void {
    const node = this.#node;
    if (this.#isStream) node.streams++;
    else node.requests++;
    node.waiting.add(this);
    const { label } = node.connector;
    if (label !== undefined) options.servername = label;
    (this.#isStream ? node.streamPool : node.pool).dispatch(options, this);
  }

  /** Nobody waits for it any more; the node must not work for nobody. */
  giveUp(): void {
    this.#isGivenUp = true;
    this.#node.waiting.delete(this);
    this.#controller?.abort(new GatewayError('internal', 'another try took over'));
  }

  nodeLost(reason: 'unhealthy' | 'fenced'): void {
    this.#owner.nodeLost(reason);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    if (this.#isGivenUp) controller.abort(new GatewayError('internal', 'another try took over'));
    else this.#owner.begun(controller);
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: IncomingHttpHeaders,
  ): void {
    if (this.#isGivenUp) return;
    // RFC 9110 section 15: no such class of status; HTTP/2 could not even pass it on.
    if (status < 100 || status > 599) this.#refuse(controller, `answered with status ${status}`);
    else if (status < 200) {
      if (++this.#interim > INTERIM_ANSWERS) this.#refuse(controller, 'sent interim answers without end');
      else this.#owner.informed(status, headers);
    } else {
      this.#node.waiting.delete(this);
      this.#owner.answered(controller, status, headers);
    }
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (!this.#isGivenUp) this.#owner.data(controller, chunk);
  }

  onResponseEnd(controller: Dispatcher.DispatchController, trailers: IncomingHttpHeaders): void {
    this.#leave();
    if (!this.#isGivenUp) this.#owner.ended(controller, trailers);
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#leave();
    if (!this.#isGivenUp) this.#owner.broke(error);
  }

  #refuse(controller: Dispatcher.DispatchController, what: string): void {
    controller.abort(new GatewayError('upstream_failed', `${this.#node.origin} ${what}`));
  }

  #leave(): void {
    const node = this.#node;
    if (this.#isStream) node.streams--;
    else node.requests--;
    if (!this.#isGivenUp) node.waiting.delete(this);
  }
}
