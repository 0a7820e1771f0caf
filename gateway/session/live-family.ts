import type { Clock } from '../core/clock.ts';
import type { EndReason, FamilyState } from '../store/session-store.ts';
import { profileMatches } from './client-profile.ts';
import type { ClientProfile } from './client-profile.ts';
import { CookieJar } from './cookie-jar.ts';
import type { ClientContext, LiveSession, SessionSettings, SessionStream, Verdict } from './session.ts';

type LiveVerdict = Verdict & { kind: 'live' };

/** The one id that this process may accept without asking the store: the sole active member of its family. */
export interface CurrentToken {
  readonly token: string;
  readonly hash: string;
  /** Verdicts made once, so that a request costs no allocation. */
  readonly plain: LiveVerdict;
  readonly due: LiveVerdict;
}

/** What a {@link LiveFamily} is made of. */
export interface FamilyOrigin {
  readonly id: string;
  readonly secret: string;
  readonly createdMs: number;
  readonly profile: ClientProfile;
  readonly jar: CookieJar;
  readonly jarVersion: number;
  readonly state: FamilyState;
}

/**
 * A family in this process's memory. Fields are plain because the request path reads and writes them; only the
 * session service does so, others see it as {@link LiveSession}.
 */
export class LiveFamily implements LiveSession {
  readonly id: string;
  readonly account: string;
  readonly subject: string | undefined;
  readonly createdMs: number;
  readonly endsMs: number;
  readonly profile: ClientProfile;
  ended: EndReason | undefined = undefined;
  derived: unknown = undefined;
  jarVersion: number;

  current: CurrentToken | undefined = undefined;
  generation: number;
  confirmedMs: number;
  /** Last activity that counts, as known here; the store may lag behind by the time between two writes. */
  seenMs: number;
  /** Last time when a request was let through here, whether or not it counts as activity. */
  usedMs: number;
  /** Last time when a successor of the current id was asked for. */
  triedMs = Number.NEGATIVE_INFINITY;
  /** When `seenMs` was last written to the store. */
  savedMs: number;
  /** Until when the store need not be asked; matters only where other nodes change families too. */
  freshUntilMs = 0;

  readonly #secret: string;
  readonly #clock: Clock;
  readonly #streams = new Set<SessionStream>();
  #jar: CookieJar;
  #userAgent: string | undefined = undefined;
  #clientAddress: string | undefined = undefined;

  constructor(origin: FamilyOrigin, clock: Clock) {
    this.id = origin.id;
    this.account = origin.profile.account;
    this.subject = origin.profile.subject;
    this.createdMs = origin.createdMs;
    this.endsMs = origin.state.endsMs;
    this.#secret = origin.secret;
    this.profile = origin.profile;
    this.jarVersion = origin.jarVersion;
    this.generation = origin.state.generation;
    this.confirmedMs = origin.state.confirmedMs;
    this.seenMs = origin.state.seenMs;
    this.savedMs = origin.state.seenMs;
    this.usedMs = origin.state.seenMs;
    this.#jar = origin.jar;
    this.#clock = clock;
  }

  /** The family id: opens the jar and makes further tokens. Never logged, never stored. */
  get secret(): string {
    return this.#secret;
  }

  /** What logs and metrics may hold. */
  get identity(): { id: string; account: string; subject: string | undefined } {
    return { id: this.id, account: this.account, subject: this.subject };
  }

  /** Keeps tokens out of a log line into which somebody puts the whole session. */
  toJSON(): { id: string; account: string } {
    return { id: this.id, account: this.account };
  }

  jarHeader(path: string): string {
    return this.#jar.header(path, this.#clock.now());
  }

  jarValue(name: string): string | undefined {
    return this.#jar.value(name, this.#clock.now());
  }

  /** The upstream's cookies now. */
  get jar(): CookieJar {
    return this.#jar;
  }

  /** Takes a newer jar; an older version than the one here changes nothing. */
  takeJar(jar: CookieJar, version: number): void {
    if (version <= this.jarVersion || this.ended !== undefined) return;
    this.#jar = jar;
    this.jarVersion = version;
  }

  /**
   * Whether the client fits what the session is bound to; an administrator's certificate always counts. Compares with the last client that fitted first, so that
   * the steady state hashes nothing.
   */
  fits(context: ClientContext, bind: SessionSettings['bind']): boolean {
    if (context.certificate !== this.profile.certificate) return false;
    const sameAgent = !bind.userAgent || context.userAgent === this.#userAgent;
    const sameAddress = !bind.network || context.clientAddress === this.#clientAddress;
    if (sameAgent && sameAddress) return true;
    if (!profileMatches(this.profile, context, bind)) return false;
    this.#userAgent = context.userAgent;
    this.#clientAddress = context.clientAddress;
    return true;
  }

  /** Takes over what the store said. Answers of one store come in order, so only an older generation is passed over. */
  take(state: FamilyState): void {
    if (state.generation < this.generation) return;
    this.generation = state.generation;
    this.confirmedMs = state.confirmedMs;
    this.seenMs = Math.max(this.seenMs, state.seenMs);
  }

  /** @returns a function that takes the stream off. */
  attach(stream: SessionStream): () => void {
    this.#streams.add(stream);
    return () => this.#streams.delete(stream);
  }

  get streams(): number {
    return this.#streams.size;
  }

  /** Marks the family as ended and closes its streams. A second call does nothing. */
  finish(reason: EndReason): void {
    if (this.ended !== undefined) return;
    this.ended = reason;
    // A second login form sent in parallel follows the same family, so its jar stays until nobody refers to it.
    if (reason !== 'login') this.#jar = CookieJar.empty;
    const streams = [...this.#streams];
    this.#streams.clear();
    for (const stream of streams) stream.close(reason);
  }
}
