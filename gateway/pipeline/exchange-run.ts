import type { IncomingHttpHeaders } from 'node:http';

import type { Exchange, ExchangeListener } from '../proxy/exchange.ts';
import type { AnswerSink } from '../proxy/forward-request.ts';
import { Forwarding } from '../proxy/forwarding.ts';
import type { RequestBody } from '../proxy/request-body.ts';
import type { TroubleKind } from '../upstream/fleet.ts';
import { noteAnswer, noteFailure } from '../upstream/outlier.ts';
import type { UpstreamNode } from '../upstream/upstream-node.ts';
import { ADMIN_BODY_BYTES } from './admin-services.ts';
import { ACCOUNT_BODY_BYTES } from './account-door.ts';
import { type AnswerChange, answerHeaders, replaceInHeaders, UNCHANGED } from './answer-headers.ts';
import { refuseVisitor } from './admit-administrator.ts';
import { authenticate, enter, OWN_PREFIX } from './authenticate.ts';
import { needsPrefix } from './answer-outcome.ts';
import { authorize } from './authorize.ts';
import { preflightAnswer } from './cross-origin.ts';
import { EventWatch } from './event-watch.ts';
import { chooseNode } from './choose-nodes.ts';
import { ownEndpoint } from './endpoints.ts';
import { failureAnswer } from './fail.ts';
import { guard } from './guard.ts';
import { isUneventful, observe } from './observe.ts';
import { limitClient, limitPrincipal } from './limit.ts';
import { mayRecognise, recognise, type Recognition } from './recognise.ts';
import type { OpenStream, OpenStreams } from './open-streams.ts';
import { AnswerMeter, exceedsBudget } from './budget.ts';
import { openBody } from './open-body.ts';
import type { OwnAnswer } from './own-page.ts';
import type { RequestContext } from './request-context.ts';
import type { PipelineServices } from './services.ts';
import { guardSignIn, settleSignIn } from './sign-in-guard.ts';
import { awaitTurn, leaveTurn } from './turn.ts';
import { outgoingRequest } from './outgoing-request.ts';

/** Answers longer than this, or of unknown length, die with their session. */
const LONG_ANSWER_BYTES = 1024 * 1024;

/** One for all requests that need no second try. */
const NONE_TRIED: UpstreamNode[] = [];

/** One request on its way through the stages; see `pipeline.ts` for the order. */
export class ExchangeRun implements AnswerSink, ExchangeListener, OpenStream {
  readonly #context: RequestContext;
  readonly #exchange: Exchange;
  readonly #services: PipelineServices;
  readonly #onDone: () => void;
  #recognition: Recognition | undefined;
  readonly #streams: OpenStreams;
  #events: EventWatch | undefined;
  readonly #meter: AnswerMeter;
  #tried: UpstreamNode[] = NONE_TRIED;

  /** @param streams takes this run up while its answer is an event stream. */
  constructor(
    context: RequestContext,
    exchange: Exchange,
    services: PipelineServices,
    streams: OpenStreams,
    onDone: () => void,
  ) {
    this.#context = context;
    this.#exchange = exchange;
    this.#services = services;
    this.#meter = new AnswerMeter(context, services);
    this.#streams = streams;
    this.#onDone = onDone;
    exchange.listener = this;
  }

  /** Runs the stages; every failure leaves through {@link fail}. */
  start(): void {
    const context = this.#context;
    try {
      guard(context);
      const refused = refuseVisitor(context, this.#services);
      if (refused !== undefined) {
        refused.catch((error: unknown) => this.fail(error));
        return;
      }
      const preflight = preflightAnswer(context);
      if (preflight !== undefined) {
        this.#answer(preflight);
        return;
      }
      enter(context);
      limitClient(context, this.#services);
      const pending = authenticate(context, this.#services);
      if (pending === undefined) this.#authenticated();
      else pending.then(() => this.#authenticated()).catch((error: unknown) => this.fail(error));
    } catch (error) {
      this.fail(error);
    }
  }

  #authenticated(): void {
    const context = this.#context;
    if (context.path.startsWith(OWN_PREFIX)) {
      const limit = context.administrator === undefined ? ACCOUNT_BODY_BYTES : ADMIN_BODY_BYTES;
      const own = ownEndpoint(context, this.#services, () => openBody(this.#exchange, context, limit));
      if (!(own instanceof Promise)) this.#answer(own);
      else own.then((answer) => this.#answer(answer)).catch((error: unknown) => this.fail(error));
      return;
    }
    authorize(context);
    limitPrincipal(context, this.#services);
    const pending = awaitTurn(context, this.#services);
    if (pending === undefined) this.#admitted();
    else pending.then(() => this.#admitted()).catch((error: unknown) => this.fail(error));
  }

  #admitted(): void {
    const context = this.#context;
    // The client may have gone while it waited for its turn.
    if (this.#exchange.closed) return;
    const body = openBody(this.#exchange, context, context.route?.bodyLimitBytes ?? 0);
    if (!mayRecognise(context.snapshot.policy, context)) {
      this.#forward(body);
      return;
    }
    const recognised = recognise(context, body, this.#services.report);
    if (!(recognised instanceof Promise)) this.#recognised(recognised, body);
    else
      recognised
        .then((recognition) => this.#recognised(recognition, body))
        .catch((error: unknown) => this.fail(error));
  }

  #recognised(recognition: Recognition | undefined, body: RequestBody | undefined): void {
    this.#recognition = recognition;
    const attempt = guardSignIn(this.#context, this.#services, recognition);
    if (attempt === undefined) this.#forward(body);
    else attempt.then(() => this.#mayTry(body)).catch((error: unknown) => this.fail(error));
  }

  /** A client that went away meanwhile has used up its attempt. */
  #mayTry(body: RequestBody | undefined): void {
    if (this.#exchange.closed) settleSignIn(this.#context, this.#services, 'failed');
    else this.#forward(body);
  }

  #forward(body: RequestBody | undefined): void {
    const node = chooseNode(this.#context, this.#services);
    if (!(node instanceof Promise)) {
      this.#send(body, node);
      return;
    }
    node.then((found) => this.#send(body, found)).catch((error: unknown) => this.fail(error));
  }

  #send(body: RequestBody | undefined, node: UpstreamNode): void {
    // The client may have gone while there was no primary.
    if (this.#exchange.closed) return;
    const context = this.#context;
    const { routing } = context.snapshot.policy;
    const forwarding = new Forwarding(
      this.#exchange,
      outgoingRequest(context, this.#services, body),
      this,
      node,
      { attempts: routing.retryAttempts, budget: context.snapshot.upstreams.fleet.retries },
    );
    context.forwarding = forwarding;
    forwarding.start();
  }

  needsPrefix(status: number, headers: IncomingHttpHeaders): boolean {
    return needsPrefix(this.#recognition, status, headers);
  }

  head(
    status: number,
    headers: IncomingHttpHeaders,
    prefix: Buffer | undefined,
  ): string[] | undefined | Promise<string[] | undefined> {
    const context = this.#context;
    const node = context.forwarding?.node;
    if (node !== undefined) {
      noteAnswer(context.snapshot.upstreams, node, status, headers);
      context.wroteCookie = this.#services.ownWrites.noteAnswer(context, node, status, headers);
    }
    if (isUneventful(context, this.#recognition, headers)) return this.#open(status, headers, UNCHANGED);
    return observe(context, this.#services, this.#recognition, { status, headers, prefix }).then((change) =>
      this.#open(status, headers, change),
    );
  }

  #open(status: number, headers: IncomingHttpHeaders, change: AnswerChange): string[] | undefined {
    const refused = exceedsBudget(this.#context, this.#services, headers);
    if (refused !== undefined) {
      this.fail(refused);
      return undefined;
    }
    this.#context.status = status;
    const { replacement } = change;
    if (replacement !== undefined) return this.#openReplaced(replaceInHeaders(headers, replacement), change);
    this.#watchStream(headers);
    return answerHeaders(this.#context, headers, change);
  }

  /** A body that was replaced is sent at once, and what the upstream says is dropped. */
  #openReplaced(headers: IncomingHttpHeaders, change: AnswerChange): string[] | undefined {
    const { status } = this.#context;
    const own = answerHeaders(this.#context, headers, change);
    const body = change.replacement?.body;
    if (body === undefined) return own;
    this.#answer({ status, headers: own, body });
    return undefined;
  }

  /** Event streams and long answers are cut when their session or key ends. */
  #watchStream(headers: IncomingHttpHeaders): void {
    const context = this.#context;
    if (headers['content-type']?.startsWith('text/event-stream') === true) {
      // A stream that stays open is no work for the application: it stands in nobody's way.
      leaveTurn(context);
      this.#events = new EventWatch(this, this.#streams, this.#services.report, context);
    }
    const { session, key } = context;
    const length = headers['content-length'];
    if (length !== undefined && Number(length) <= LONG_ANSWER_BYTES) return;
    this.#meter.isLong = true;
    const stream = { close: () => this.shutDown() };
    if (key !== undefined) context.detachStream = this.#services.keys.attach(key, stream);
    else if (session?.subject !== undefined && session.ended === undefined)
      context.detachStream = this.#services.sessions.attach(session, stream);
  }

  passes(bytes: number): boolean {
    const refused = this.#meter.pass(bytes);
    if (refused === undefined) return true;
    this.#context.failure = refused;
    this.#context.forwarding?.clientGone();
    this.#exchange.destroy();
    return false;
  }

  shutDown(): void {
    this.#context.forwarding?.clientGone();
    this.brokeOff();
  }

  brokeOff(): void {
    // An event stream may end cleanly: the browser asks again and learns how things are.
    if (this.#events !== undefined) this.#exchange.end();
    else this.#exchange.destroy();
  }

  trouble(node: UpstreamNode, kind: TroubleKind): void {
    noteFailure(this.#context.snapshot.upstreams, node, kind);
  }

  another(failed: UpstreamNode): UpstreamNode | undefined | Promise<UpstreamNode> {
    if (this.#tried.length === 0) this.#tried = [];
    this.#tried.push(failed);
    try {
      const next = chooseNode(this.#context, this.#services, this.#tried);
      this.#services.report.failover(failed.region, failed.origin);
      return next;
    } catch {
      return undefined;
    }
  }

  fail(thrown: unknown): void {
    const { answer, error } = failureAnswer(this.#context, thrown);
    this.#context.failure = error;
    if (this.#exchange.closed) return;
    try {
      if (this.#exchange.responded) this.#exchange.destroy();
      else this.#answer(answer);
    } catch {
      // The one exit of all failures has none itself: one request pays and not the process.
      this.#exchange.destroy();
    }
  }

  #answer(answer: OwnAnswer): void {
    this.#context.status = answer.status;
    this.#exchange.respond(answer.status, answer.headers);
    this.#exchange.end(answer.body);
  }

  onDrain(): void {
    this.#context.forwarding?.drained();
  }

  onClose(complete: boolean): void {
    const context = this.#context;
    const { sentBytes } = this.#exchange;
    this.#events?.close();
    context.detachStream?.();
    leaveTurn(context);
    if (!complete) context.forwarding?.clientGone();
    this.#meter.close(sentBytes);
    settleSignIn(context, this.#services, (context.failure?.status ?? 0) >= 500 ? 'unjudged' : 'failed');
    this.#services.report.finished(context, sentBytes, complete);
    this.#onDone();
  }
}
