import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';

import type { Exchange, MessageHead } from '../proxy/exchange.ts';
import { readRequestHead } from '../proxy/request-head.ts';
import { createWebSocketForwarder } from '../proxy/websocket-forwarder.ts';
import { clientAddress } from './client-address.ts';
import { ExchangeRun } from './exchange-run.ts';
import { OpenStreams } from './open-streams.ts';
import { traceAndSpan } from './random-ids.ts';
import { type AdminVisitor, RequestContext } from './request-context.ts';
import type { PipelineServices } from './services.ts';
import type { Snapshot } from './snapshot.ts';
import { UpgradeRun } from './upgrade-run.ts';

/**
 * The request's path, top to bottom (drawn with every failure exit in this folder's README):
 *
 *   guard          `guard.ts`         method, target, host, cookies mean one thing only
 *   enter          `authenticate.ts`  account, route; closed routes end here
 *   authenticate   `authenticate.ts`  whose session
 *   authorize      `authorize.ts`     may this principal use this route; no other site may act for it
 *   recognise      `recognise.ts`     sign-in, sign-out, credential change of an unmodified CRM
 *   choose         `choose-nodes.ts`  writes to the primary, reads to a fresh copy that holds what the reader wrote
 *   forward        `proxy/forwarding` stream both ways
 *   observe        `observe.ts`       what the answer means for sessions; vaulted cookies; rotation
 *   finish         `answer-headers.ts`, then access log and metrics through `services.report`
 *   fail           `fail.ts`          the one exit of every failure
 */
export class Pipeline {
  #snapshot: Snapshot;
  readonly #services: PipelineServices;
  readonly #forwarder = createWebSocketForwarder();
  /** Streams that would outlast any drain. */
  readonly streams = new OpenStreams();
  #open = 0;
  #whenIdle: (() => void) | undefined;
  /** One function for all requests. */
  readonly #whenDone = () => this.#done();

  constructor(snapshot: Snapshot, services: PipelineServices) {
    this.#snapshot = snapshot;
    this.#services = services;
  }

  /** Takes a new set of policies for requests that come from now on; those under way keep theirs. */
  swap(snapshot: Snapshot): void {
    this.#snapshot = snapshot;
  }

  /** Exchanges and streams under way. */
  get open(): number {
    return this.#open;
  }

  /** Takes one request. Never throws. @param visitor who stands at the admin listener, where it came in there. */
  handle(exchange: Exchange, visitor?: AdminVisitor): void {
    this.#open++;
    const context = this.#context(exchange, visitor);
    new ExchangeRun(context, exchange, this.#services, this.streams, this.#whenDone).start();
  }

  /** Takes one WebSocket handshake. Never throws. */
  upgrade(
    message: MessageHead,
    request: IncomingMessage,
    socket: Socket,
    head: Buffer,
    visitor?: AdminVisitor,
  ): void {
    this.#open++;
    const run = new UpgradeRun(
      this.#context(message, visitor),
      request,
      socket,
      this.#services,
      this.streams,
      () => {
        this.streams.delete(run);
        this.#done();
      },
    );
    this.streams.add(run);
    // Nothing of it is expected to throw; were it to, one connection pays and not the process.
    run.start(head, this.#forwarder).catch(() => socket.destroy());
  }

  /** Closes WebSockets with a code, ends event streams, and waits for requests under way, but not longer than the deadline. */
  async drain(deadlineMs: number): Promise<void> {
    this.streams.end('stopping');
    if (this.#open === 0) return;
    await new Promise<void>((resolve) => {
      const deadline = setTimeout(resolve, deadlineMs);
      this.#whenIdle = () => {
        clearTimeout(deadline);
        resolve();
      };
    });
  }

  #context(message: MessageHead, visitor: AdminVisitor | undefined): RequestContext {
    const { policy } = this.#snapshot;
    const head = readRequestHead(message.rawHeaders, policy.apiKeys.heldHeaders);
    const address = clientAddress(message.peerAddress, head, policy.trustedProxies);
    return new RequestContext(this.#snapshot, message, head, traceAndSpan(), address, visitor);
  }

  #done(): void {
    this.#open--;
    if (this.#open === 0) this.#whenIdle?.();
  }
}
