import type { SetCookie } from '../core/cookie.ts';
import type { EndReason, FamilyLimits } from '../store/session-store.ts';

/** The browser's one cookie. `__Host-Http-` is enforced by browsers that know it and is plain `__Host-` elsewhere. */
export const SESSION_COOKIE = '__Host-Http-zasov';
/**
 * The cookie of an administrator's session. Browsers tell hosts apart and not ports, so under one name the admin
 * listener and the public one of the same host would take each other's sessions away.
 */
export const ADMIN_COOKIE = '__Host-Http-zasov-admin';

/** Bounds of an administrator's session, whatever longer times the policy gives to other people. */
export const ADMIN_IDLE_MS = 15 * 60_000;
export const ADMIN_LIFETIME_MS = 8 * 3_600_000;

/** What is known of the client that presents an id; compared with what the session was begun with. */
export interface ClientContext {
  readonly userAgent: string;
  readonly clientAddress: string;
  /** The fingerprint of an administrator's key; absent for everybody else, and on every other listener. */
  readonly certificate?: string | undefined;
}

/** The settings that the session service needs; the policy's `sessions` section fits. */
export interface SessionSettings extends FamilyLimits {
  readonly lifetimeMs: number;
  readonly perSubject: number;
  readonly bind: { readonly userAgent: boolean; readonly network: boolean };
  readonly anonymous: { readonly lifetimeMs: number };
}

/** Something open that must close when its session ends: a WebSocket, an event stream, a long download. */
export interface SessionStream {
  /** Called once; must not throw. */
  close(reason: EndReason): void;
}

/**
 * One live session family as this process knows it. The same object serves every request of the family, so that
 * `ended` is seen by requests that are still waiting for the upstream.
 */
export interface LiveSession {
  /** Hash of the family id: safe to log and to list. */
  readonly id: string;
  readonly account: string;
  /** The person; `undefined` while the session is anonymous. */
  readonly subject: string | undefined;
  readonly createdMs: number;
  /** Set the moment the family ends, on any node. */
  readonly ended: EndReason | undefined;
  /** Version of the jar; sent back with {@link SessionService.storeCookies}. */
  readonly jarVersion: number;
  /** A per-session slot in which the pipeline keeps derived headers, so that they are built once. */
  derived: unknown;
  /** The `Cookie` header text (without any browser cookies) for an upstream path; empty when there is none. */
  jarHeader(path: string): string;
  /** Whether the jar holds a cookie of this name, and its value. */
  jarValue(name: string): string | undefined;
}

/** What a presented cookie turned out to be. */
export type Verdict =
  /** No cookie, or one that this gateway never made: a stranger. No store was asked. */
  | { readonly kind: 'none' }
  /** A live family. `due`: a successor may be issued with the answer. `token`: what was presented. */
  | { readonly kind: 'live'; readonly session: LiveSession; readonly token: string; readonly due: boolean }
  /** A family that is over; the cookie must be cleared. */
  | { readonly kind: 'ended'; readonly reason: EndReason };

/** What a new family starts with. */
export interface BeginRequest {
  readonly account: string;
  /** `undefined` begins an anonymous (pre-login) family. */
  readonly subject: string | undefined;
  readonly context: ClientContext;
  /** Cookies that the upstream set with the answer that began the family. */
  readonly setCookies: readonly SetCookie[];
  /** The family that this one follows; its jar moves over and it ends as `login`. */
  readonly replaces: LiveSession | undefined;
}

/** An administrator is nobody of the account, also where somebody there has the same name. */
export type PersonKind = 'person' | 'administrator';

/** One row of `zasov sessions list`. */
export interface SessionSummary {
  readonly id: string;
  readonly account: string;
  readonly subject: string | undefined;
  readonly state: 'anonymous' | 'active';
  readonly created_at: string;
  readonly last_seen_at: string;
  readonly generation: number;
  /** What it was begun with: the first 200 characters, and /24 or /64 of the address. */
  readonly user_agent: string;
  readonly network: string;
  /** Set for a session of one of the administrators. */
  readonly administrator?: boolean;
}

/** Whose a session is. */
interface SessionIdentity {
  readonly id: string;
  readonly account: string;
  readonly subject: string | undefined;
}

/** Called by the service for metrics, logs and the audit trail; must not throw. */
export interface SessionObserver {
  rotated(): void;
  graceHit(): void;
  /** A theft verdict (`reuse`, `fork`, `stubborn`, `context`, `certificate`) or `crash_regress`, which is only information. */
  theft(kind: string, session: SessionIdentity): void;
  /**
   * A family is over. @param by given when this process brought the end about, and no other reports it; with the
   *   session, if it is known here.
   */
  ended(
    reason: EndReason,
    id: string,
    by: { readonly session: SessionIdentity | undefined } | undefined,
  ): void;
  /** Somebody has signed in. @param from what this browser had before. Absent where nobody wants to know. */
  began?(session: SessionIdentity, from: 'nothing' | 'anonymous' | 'session'): void;
  /** One round trip to the store, in seconds. */
  storeSeconds(seconds: number): void;
}

/**
 * Sessions whose identifier keeps changing: OWASP Session Management Cheat Sheet "Renewal Timeout", RFC 9700 4.14.2
 * reuse detection, by the algorithm of `rotate.ts`. All methods reject with `GatewayError('store_unavailable')`
 * when the store is away; nothing is ever let through or ended for that reason.
 */
export interface SessionService {
  /**
   * Decides what a presented token is. Answers without a promise when this process already knows
   * (the steady state), so that the request path stays synchronous.
   *
   * @param passive the request is no sign of a person at work and does not move the idle limit.
   */
  authenticate(token: string, context: ClientContext, passive: boolean): Verdict | Promise<Verdict>;
  /** Issues a successor for a due verdict. @returns a `Set-Cookie` value, or `undefined` when none is to be sent. */
  rotate(verdict: Verdict & { kind: 'live' }): Promise<string | undefined>;
  /** Begins a family. @returns it with its `Set-Cookie` value. */
  begin(request: BeginRequest): Promise<{ session: LiveSession; setCookie: string }>;
  /**
   * Stores cookies that the upstream set on an answer, if the jar is still the one its request was sent with.
   *
   * @returns whether they were stored; an answer that came too late changes nothing.
   */
  storeCookies(session: LiveSession, sentVersion: number, setCookies: readonly SetCookie[]): Promise<boolean>;
  end(session: LiveSession, reason: EndReason): Promise<void>;
  endById(id: string, reason: EndReason): Promise<boolean>;
  /** Ends every session of a person, but the one of `exceptId`. @returns how many were alive. */
  endPerson(account: string, subject: string, reason: EndReason, exceptId?: string): Promise<number>;
  /** Ends every session of an administrator in an account. @returns how many were alive. */
  endAdministrator(account: string, name: string, reason: EndReason): Promise<number>;
  /** Lists sessions. @param filter account and subject together are one person, or one administrator by `kind`. */
  list(filter: {
    account?: string | undefined;
    subject?: string | undefined;
    kind?: PersonKind;
  }): Promise<SessionSummary[]>;
  /** How many signed-in sessions are alive. */
  count(): Promise<number>;
  /** Registers an open stream; it is closed when the session ends. @returns a function that takes it off. */
  attach(session: LiveSession, stream: SessionStream): () => void;
  /** A person was active on a stream; throttled to a write every now and then. */
  activity(session: LiveSession): void;
  /** Takes new settings from a reloaded policy. */
  configure(settings: SessionSettings): void;
  /** Ends families of open streams that ran out, sweeps the store. Called by a timer. */
  tick(): Promise<void>;
  close(): Promise<void>;
}

/** The `Set-Cookie` value that removes the gateway's cookie from a browser. */
export const CLEARING_COOKIE = clearing(SESSION_COOKIE);
/** The same for an administrator's. */
export const CLEARING_ADMIN_COOKIE = clearing(ADMIN_COOKIE);

function clearing(name: string): string {
  return `${name}=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0`;
}
