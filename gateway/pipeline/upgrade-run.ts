import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';

import { GatewayError } from '../core/gateway-error.ts';
import { WebSocketClient } from '../proxy/websocket-client.ts';
import { upstreamFailure } from '../proxy/upstream-failure.ts';
import type { WebSocketForwarder } from '../proxy/websocket-forwarder.ts';
import { troubleOf } from '../upstream/health-check.ts';
import { noteFailure } from '../upstream/outlier.ts';
import type { UpstreamNode } from '../upstream/upstream-node.ts';
import { refuseVisitor } from './admit-administrator.ts';
import { authenticate, enter, OWN_PREFIX } from './authenticate.ts';
import { keyHeaders, setCookieName } from './answer-headers.ts';
import { authorize } from './authorize.ts';
import { chooseNode } from './choose-nodes.ts';
import { isAllowed, isOwnOrigin } from './cross-site.ts';
import { failureAnswer } from './fail.ts';
import { guard } from './guard.ts';
import { limitClient, limitPrincipal } from './limit.ts';
import type { OpenStream, OpenStreams, StreamEnding } from './open-streams.ts';
import type { RequestContext } from './request-context.ts';
import type { PipelineServices } from './services.ts';
import { spend } from './budget.ts';
import { awaitTurn, leaveTurn } from './turn.ts';
import { upstreamHeaders } from './upstream-headers.ts';

/** Close codes: the session or key is over; the gateway, the policy or the node ends the stream (RFC 6455 section 7.4). */
const SESSION_OVER = 4401;
const GOING_AWAY = 1001;
const SERVICE_RESTART = 1012;
const POLICY_VIOLATION = 1008;

/** How often a client's messages may count as activity. */
const ACTIVITY_EVERY_MS = 5000;

/** Headers that say what the upstream is made of. */
const TELLTALE = new Set(['server', 'x-powered-by', 'x-aspnet-version', 'x-aspnetmvc-version']);

/** Headers of a refusal that concern the upstream's connection only. */
const REFUSAL_DROPPED = new Set(['connection', 'keep-alive', 'upgrade', 'proxy-connection']);

/** One WebSocket handshake through the stages, and then the open stream. */
export class UpgradeRun implements OpenStream {
  readonly #context: RequestContext;
  readonly #request: IncomingMessage;
  readonly #socket: Socket;
  readonly #services: PipelineServices;
  readonly #streams: OpenStreams;
  readonly #onDone: () => void;
  #client: WebSocketClient | undefined;
  #isOver = false;
  #activeMs = 0;

  constructor(
    context: RequestContext,
    request: IncomingMessage,
    socket: Socket,
    services: PipelineServices,
    streams: OpenStreams,
    onDone: () => void,
  ) {
    this.#context = context;
    this.#request = request;
    this.#socket = socket;
    this.#services = services;
    this.#streams = streams;
    this.#onDone = onDone;
    socket.on('error', () => socket.destroy());
    socket.on('close', () => this.#over());
  }

  /** Runs the stages; every failure is answered on the socket, never with a redirect. */
  async start(head: Buffer, forwarder: WebSocketForwarder): Promise<void> {
    try {
      guard(this.#context);
      this.#guardHandshake();
      await refuseVisitor(this.#context, this.#services);
      enter(this.#context);
      limitClient(this.#context, this.#services);
      await authenticate(this.#context, this.#services);
      this.#authorize();
      await awaitTurn(this.#context, this.#services);
      // What will be sent over it nobody can tell, so it goes where changes go.
      this.#context.isUpgrade = true;
      const node = await chooseNode(this.#context, this.#services);
      // The client may have gone while the store was asked.
      if (this.#isOver) return;
      if (head.length > 0) this.#socket.unshift(head);
      this.#forward(forwarder, node);
    } catch (error) {
      this.#fail(error);
    }
  }

  shutDown(ending: StreamEnding): void {
    if (this.#client === undefined) this.#socket.destroy();
    else if (ending === 'stopping') this.#client.closeWith(GOING_AWAY, 'going away');
    else this.#client.closeWith(SERVICE_RESTART, 'connect again', ending === 'sealed');
  }

  /** A handshake with a body would bring bytes of which nobody knows whether they are frames (RFC 6455 section 4.1). */
  #guardHandshake(): void {
    const { method, head, message } = this.#context;
    const isChunked = message.rawHeaders.some(
      (name, index) => index % 2 === 0 && name.toLowerCase() === 'transfer-encoding',
    );
    if (method !== 'GET' || isChunked || Number(head.contentLength ?? 0) > 0) {
      throw new GatewayError('upgrade_refused', 'a WebSocket handshake is a GET without a body');
    }
  }

  #authorize(): void {
    const context = this.#context;
    if (context.path.startsWith(OWN_PREFIX)) throw new GatewayError('not_found', 'no WebSocket of our own');
    authorize(context);
    limitPrincipal(context, this.#services);
    // Browsers send cookies with a handshake from any page (OWASP cross-site WebSocket hijacking).
    const { origin } = context.head;
    const isForeign = origin !== undefined && !isOwnOrigin(origin, context.message.authority);
    if (isForeign && !isAllowed(context)) {
      throw new GatewayError('cross_site', 'a WebSocket handshake from another origin');
    }
  }

  #forward(forwarder: WebSocketForwarder, node: UpstreamNode): void {
    const context = this.#context;
    const client = new WebSocketClient(this.#socket, {
      answerHead: (status, lines) => this.#answerHead(status, lines),
      active: () => this.#active(),
      sending: (bytes) => this.#meter(client, bytes),
    });
    this.#client = client;
    this.#streams.add(this, node);
    this.#watch(client);
    // The session may have ended just now, which closed the client.
    if (client.destroyed) return;
    this.#limitHandshake(client, node.origin);
    const headers = joinHeaders(upstreamHeaders(context, this.#services.signer, this.#services.clock.now()));
    headers['connection'] = 'Upgrade';
    headers['upgrade'] = 'websocket';
    this.#request.url = context.target;
    forwarder.forward(this.#request, client, node, headers, (error) => {
      // Whoever is answered already, or gone, took the upstream's connection along.
      if (client.status !== 0 || this.#isOver || context.failure !== undefined) return;
      noteFailure(context.snapshot.upstreams, node, troubleOf(error));
      this.#fail(upstreamFailure(error, node.origin));
    });
  }

  #limitHandshake(client: WebSocketClient, origin: string): void {
    const { upstreamTimeoutMs } = this.#context.snapshot.policy.protection;
    const timer = setTimeout(() => {
      if (client.status === 0)
        this.#fail(new GatewayError('upstream_timeout', `${origin} left a handshake unanswered`));
    }, upstreamTimeoutMs).unref();
    client.once('close', () => clearTimeout(timer));
  }

  #watch(client: WebSocketClient): void {
    const context = this.#context;
    this.#services.report.stream('websocket', 1);
    const maxAge = setTimeout(() => {
      client.closeWith(GOING_AWAY, 'maximum age reached');
    }, context.snapshot.policy.protection.streamMaxAgeMs).unref();
    const detach = this.#attach(client);
    context.detachStream = () => {
      clearTimeout(maxAge);
      detach?.();
      this.#services.report.stream('websocket', -1);
    };
  }

  #attach(client: WebSocketClient): (() => void) | undefined {
    const { session, key } = this.#context;
    const { sessions, keys } = this.#services;
    if (key !== undefined)
      return keys.attach(key, { close: () => client.closeWith(SESSION_OVER, 'key ended') });
    if (session === undefined) return undefined;
    return sessions.attach(session, {
      close: (reason) =>
        reason === 'context' || reason === 'reuse' || reason === 'fork' || reason === 'stubborn'
          ? client.closeWith(POLICY_VIOLATION, 'session ended')
          : client.closeWith(SESSION_OVER, 'session ended'),
    });
  }

  /** Draws from budgets before anything leaves; the stream ends with the frame that is under way. */
  #meter(client: WebSocketClient, bytes: number): void {
    const refused = spend(this.#context, this.#services, bytes);
    if (refused === undefined || this.#context.failure !== undefined) return;
    this.#context.failure = refused;
    client.closeWith(POLICY_VIOLATION, 'budget used up');
  }

  /** Filters the upstream's handshake answer; no rotation happens on 101. */
  #answerHead(status: number, lines: readonly string[]): string[] {
    this.#context.status = status;
    leaveTurn(this.#context);
    const { isVaulted } = this.#context.snapshot.policy.sessions;
    const kept = lines.filter((line) => {
      const colon = line.indexOf(':');
      const name = line.slice(0, colon).toLowerCase();
      if (name.startsWith('zasov-') || name.startsWith('x-zasov-') || TELLTALE.has(name)) return false;
      // A refusal is an ordinary answer after which the connection ends.
      if (status !== 101 && REFUSAL_DROPPED.has(name)) return false;
      return name !== 'set-cookie' || !isVaulted(setCookieName(line.slice(colon + 1)));
    });
    const own = keyHeaders(this.#context);
    for (let i = 0; i < own.length; i += 2) kept.push(`${own[i]}: ${own[i + 1]}`);
    return status === 101 ? kept : [...kept, 'connection: close'];
  }

  #active(): void {
    const now = performance.now();
    const { session, snapshot, path } = this.#context;
    if (session === undefined || now - this.#activeMs < ACTIVITY_EVERY_MS) return;
    this.#activeMs = now;
    if (!snapshot.policy.sessions.isPassive(path)) this.#services.sessions.activity(session);
  }

  #fail(thrown: unknown): void {
    const context = this.#context;
    const { answer, error } = failureAnswer(context, thrown);
    context.failure = error;
    context.status = error.status;
    if (this.#socket.destroyed) return;
    const status = answer.status < 400 ? 401 : answer.status;
    const lines = [`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`, 'connection: close'];
    for (let i = 0; i < answer.headers.length; i += 2) {
      if (answer.headers[i] !== 'location') lines.push(`${answer.headers[i]}: ${answer.headers[i + 1]}`);
    }
    this.#socket.write(`${lines.join('\r\n')}\r\n\r\n${answer.body.toString()}`);
    // Not only its own half: a client that never closes would keep the connection for ever.
    this.#socket.destroySoon();
  }

  #over(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#client?.destroy();
    this.#context.detachStream?.();
    leaveTurn(this.#context);
    this.#services.report.finished(this.#context, this.#socket.bytesWritten, this.#context.status === 101);
    this.#onDone();
  }
}

function joinHeaders(flat: readonly string[]): Record<string, string> {
  const headers: Record<string, string> = {};
  for (let i = 0; i < flat.length; i += 2) {
    const name = flat[i] ?? '';
    const earlier = headers[name];
    headers[name] = earlier === undefined ? (flat[i + 1] ?? '') : `${earlier}, ${flat[i + 1] ?? ''}`;
  }
  return headers;
}
