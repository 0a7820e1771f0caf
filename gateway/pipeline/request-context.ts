import type { Administrator, AdminRefusal } from '../admin/admin.ts';
import type { LiveKey } from '../api-key/api-key.ts';
import type { GatewayError } from '../core/gateway-error.ts';
import type { MatchableRequest } from '../policy/recognition.ts';
import type { Route } from '../policy/policy.ts';
import type { MessageHead } from '../proxy/exchange.ts';
import type { Forwarding } from '../proxy/forwarding.ts';
import type { RequestHead } from '../proxy/request-head.ts';
import type { CountedLimit } from '../rate-limit/window-limit.ts';
import type { WritePosition } from '../upstream/data-position.ts';
import type { ClientContext, LiveSession, Verdict } from '../session/session.ts';
import type { ForeignPrincipal } from './foreign-principal.ts';
import type { Budget, SignIn, Turn } from './limit-holding.ts';
import type { Snapshot } from './snapshot.ts';

/** Who stands at the admin listener: one of the two, or somebody and the reason why they are not let in. */
export type AdminVisitor = (Administrator & { readonly certificateEndsMs?: number }) | AdminRefusal;

/** No cookie, no session. */
export const STRANGER: Verdict = { kind: 'none' };

/** Everything that the stages learn about one request, in the order in which they learn it. */
export class RequestContext implements MatchableRequest, ClientContext {
  readonly snapshot: Snapshot;
  readonly message: MessageHead;
  readonly head: RequestHead;
  /** Trace id (W3C Trace Context), 32 hex digits; also the request id. */
  readonly requestId: string;
  readonly spanId: string;
  /** `performance.now()` at arrival, for durations. */
  readonly startMs: number;
  readonly clientAddress: string;
  /** Who stands at the admin listener; `undefined` on every other one. */
  readonly visitor: AdminVisitor | undefined;
  // Guard.
  host = '';
  path = '';
  search = '';
  /** Path and query as they are forwarded: as received, but for a key that stood in the query. */
  target: string;
  // Account and route.
  account = '';
  route: Route | undefined;
  /** The route for administrators that the path leads to on a listener where it does not exist; `route` is none then. */
  hidden: Route | undefined;
  /** The API key's text, as the client sent it; a secret. */
  presentedKey: string | undefined;
  /** Whether a key stood in the query, so that no page may tell others its own address. */
  hasQueryKey = false;
  // Authentication.
  cookieToken: string | undefined;
  /** Says who signed in from this client before. */
  knownCookie: string | undefined;
  /** Names the process that passed this browser's last change on; see `own-writes.ts`. */
  wroteToken: string | undefined;
  /** The browser's other cookies, without those that stay on the server. */
  cookies = '';
  verdict: Verdict = STRANGER;
  /** The session that the request runs in: signed in, or anonymous on a public route. */
  session: LiveSession | undefined;
  jarVersion = 0;
  /** Who came with a session or key of another account. */
  foreign: ForeignPrincipal | undefined;
  /** The API key that the request runs under; then there is no session. */
  key: LiveKey | undefined;
  /** The strictest limit that the request was counted under. */
  counted: CountedLimit | undefined;
  /** Budgets of answer bytes that it draws on. */
  budgets: Budget[] | undefined;
  /** Limits of requests at once that it comes under, the places that it holds, and whether it wants none any more. */
  turns: Turn[] | undefined;
  heldTurns: Turn[] | undefined;
  hasLeft = false;
  /** The policy's name of the limit that refused it. */
  refusedBy: string | undefined;
  /** The attempt to sign in that it is. */
  signIn: SignIn | undefined;
  /** Whether this very answer ended the session. */
  endedHere = false;
  // Forwarding and the answer.
  /** Whether the request asks for a WebSocket. */
  isUpgrade = false;
  /** `performance.now()` until which it may wait for a node; 0 while it never had to. */
  waitUntilMs = 0;
  forwarding: Forwarding | undefined;
  /** `Set-Cookie` value for a browser that has changed something. */
  wroteCookie: string | undefined;
  /** How far that change is in the log of its node, where that says so. */
  wrote: WritePosition | undefined;
  detachStream: (() => void) | undefined;
  status = 0;
  failure: GatewayError | undefined;
  #query: URLSearchParams | undefined;

  constructor(
    snapshot: Snapshot,
    message: MessageHead,
    head: RequestHead,
    traceAndSpan: string,
    clientAddress: string,
    visitor?: AdminVisitor,
  ) {
    this.snapshot = snapshot;
    this.message = message;
    this.target = message.target;
    this.head = head;
    this.requestId = traceAndSpan.slice(0, 32);
    this.spanId = traceAndSpan.slice(32);
    this.startMs = performance.now();
    this.clientAddress = clientAddress;
    this.visitor = visitor;
  }

  get method(): string {
    return this.message.method;
  }

  /** The administrator who asks, on the admin listener. */
  get administrator(): Exclude<AdminVisitor, string> | undefined {
    return typeof this.visitor === 'object' ? this.visitor : undefined;
  }

  /** What an administrator's session is bound to. */
  get certificate(): string | undefined {
    return this.administrator?.fingerprint;
  }

  get userAgent(): string {
    return this.head.userAgent;
  }

  get query(): URLSearchParams {
    return (this.#query ??= new URLSearchParams(this.search));
  }

  /** Puts another query in place of the one that came. */
  replaceSearch(search: string): void {
    const question = this.target.indexOf('?');
    const path = question === -1 ? this.target : this.target.slice(0, question);
    this.target = search === '' ? path : `${path}?${search}`;
    this.search = search;
    this.#query = undefined;
  }

  /** Whether it changes data, as far as its method and route tell: then only a primary may answer it. */
  get isWrite(): boolean {
    const { method } = this.message;
    const isSafe = method === 'GET' || method === 'HEAD' || method === 'OPTIONS';
    return !isSafe || this.isUpgrade || this.route?.writes === true;
  }

  /** Whether it asks for an event stream. */
  get isStream(): boolean {
    return this.head.accept.includes('text/event-stream');
  }

  /** The person that the request runs as, once authenticated on a route that wants one. */
  get subject(): string | undefined {
    // An administrator is nobody of the CRM, whatever name they have.
    if (this.administrator !== undefined) return undefined;
    return this.session?.subject ?? this.key?.subject;
  }

  header(name: string): string | undefined {
    const { rawHeaders } = this.message;
    for (let i = 0; i < rawHeaders.length; i += 2) {
      if (rawHeaders[i]?.length === name.length && rawHeaders[i]?.toLowerCase() === name)
        return rawHeaders[i + 1];
    }
    return undefined;
  }

  /** Whether a person waits for a page: the answer to a failure is then a page or a redirect, not JSON. */
  get isPageLoad(): boolean {
    const { fetchMode, fetchDest, accept } = this.head;
    if (fetchMode !== undefined) return fetchMode === 'navigate' && fetchDest !== 'empty';
    return accept.includes('text/html');
  }
}
