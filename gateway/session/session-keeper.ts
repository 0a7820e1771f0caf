import type { Clock } from '../core/clock.ts';
import { GatewayError } from '../core/gateway-error.ts';
import type { EndReason, SessionStore, StoredFamily } from '../store/session-store.ts';
import { CookieJar } from './cookie-jar.ts';
import { FamilyRegistry } from './family-registry.ts';
import { LiveFamily } from './live-family.ts';
import {
  ADMIN_IDLE_MS,
  ADMIN_LIFETIME_MS,
  type LiveSession,
  type SessionObserver,
  type SessionSettings,
} from './session.ts';
import type { TokenMint } from './token.ts';
import type { Vault } from './vault.ts';

/** The longest time for which activity is known here and not in the store, in ms. */
const SAVE_EVERY_MS = 30_000;
/**
 * Where other nodes change families too: the longest time, in ms, for which an id is accepted without asking the
 * store. It bounds how late a message is made up for that was lost although nothing seemed to be.
 */
const LOCAL_TTL_MS = 15_000;

/** A question to the store that is under way; an answer from before the news is old when it comes. */
interface OpenQuestion {
  isStale: boolean;
}

/** What the parts of the session service share. */
export interface KeeperOptions {
  readonly store: SessionStore;
  readonly mint: TokenMint;
  readonly vault: Vault;
  readonly clock: Clock;
  readonly settings: SessionSettings;
  readonly observer: SessionObserver;
  readonly familyLimit: number;
}

/**
 * Keeps this process's view of families in step with the store: loads them, writes their activity back now and then,
 * learns their ends.
 */
export class SessionKeeper {
  readonly store: SessionStore;
  readonly mint: TokenMint;
  readonly vault: Vault;
  readonly clock: Clock;
  readonly observer: SessionObserver;
  readonly registry: FamilyRegistry;
  readonly #questions = new Map<string, Set<OpenQuestion>>();
  readonly #unsaved = new Set<LiveFamily>();
  readonly #streaming = new Set<LiveFamily>();
  readonly #stopListening: (() => void)[] = [];
  #settings: SessionSettings;
  #adminSettings: SessionSettings;

  constructor(options: KeeperOptions) {
    this.store = options.store;
    this.mint = options.mint;
    this.vault = options.vault;
    this.clock = options.clock;
    this.observer = options.observer;
    this.#settings = options.settings;
    this.#adminSettings = forAdministrators(options.settings);
    this.registry = new FamilyRegistry(options.familyLimit);
    this.#stopListening.push(
      this.store.onEnd((id, reason, isElsewhere) => this.learnEnd(id, reason, !isElsewhere)),
    );
    const { push } = this.store;
    if (push !== undefined) this.#stopListening.push(push.onStale((id) => this.#forgetFreshness(id)));
  }

  /** Asks the store and measures how long it took. */
  async ask<T>(question: Promise<T>): Promise<T> {
    const startedMs = performance.now();
    try {
      return await question;
    } finally {
      this.observer.storeSeconds((performance.now() - startedMs) / 1000);
    }
  }

  /** What holds for people; see {@link settingsFor}. */
  get settings(): SessionSettings {
    return this.#settings;
  }

  set settings(settings: SessionSettings) {
    this.#settings = settings;
    this.#adminSettings = forAdministrators(settings);
  }

  /** What holds for a session: an administrator's is shorter. @param certificate as in a profile or a context. */
  settingsFor(certificate: string | undefined): SessionSettings {
    return certificate === undefined ? this.#settings : this.#adminSettings;
  }

  /** How long activity may stay unwritten: short against the idle limit, so that a restart ends nobody early. */
  get saveEveryMs(): number {
    return Math.min(SAVE_EVERY_MS, this.settings.idleMs / 4);
  }

  /** Notes activity of a person. Written at most every {@link saveEveryMs}. */
  noteActivity(family: LiveFamily, nowMs: number): void {
    if (nowMs > family.seenMs) family.seenMs = nowMs;
    if (nowMs - family.savedMs >= this.saveEveryMs) void this.save(family);
    else if (family.savedMs < family.seenMs) this.#unsaved.add(family);
  }

  /** Writes a family's last activity. A store that is away loses nothing: the next call writes it. */
  async save(family: LiveFamily): Promise<void> {
    if (family.savedMs >= family.seenMs || family.ended !== undefined) {
      this.#unsaved.delete(family);
      return;
    }
    const before = family.savedMs;
    family.savedMs = family.seenMs;
    this.#unsaved.delete(family);
    try {
      await this.ask(this.store.touch(family.id, family.savedMs));
    } catch {
      family.savedMs = before;
      this.#unsaved.add(family);
    }
  }

  /** Writes the activity that has waited for so long, or all of it. */
  async saveOlderThan(ageMs: number): Promise<void> {
    const now = this.clock.now();
    for (const family of this.#unsaved) {
      if (now - family.savedMs >= ageMs) await this.save(family);
    }
  }

  /**
   * Takes a family into memory.
   *
   * @returns `undefined` when its sealed values cannot be opened: their key was retired, or somebody changed them.
   */
  load(familySecret: string, stored: StoredFamily): LiveFamily | undefined {
    const profile = this.vault.openProfile(stored.id, stored.profile);
    const jar = this.#openJar(familySecret, stored);
    if (profile === undefined || jar === undefined) return undefined;
    const { id, createdMs, jarVersion, state } = stored;
    const family = new LiveFamily(
      { id, secret: familySecret, createdMs, profile, jar, jarVersion, state },
      this.clock,
    );
    this.registry.add(family);
    return family;
  }

  /** Brings a known family up to what the store said of it. */
  refresh(family: LiveFamily, stored: StoredFamily): void {
    family.take(stored.state);
    this.renew(family);
    if (stored.jarVersion <= family.jarVersion) return;
    const jar = this.#openJar(family.secret, stored);
    if (jar !== undefined) family.takeJar(jar, stored.jarVersion);
  }

  /** Lets the family's current id be accepted here without the store for one local term. */
  renew(family: LiveFamily): void {
    family.freshUntilMs = this.clock.now() + this.#localTtlMs;
  }

  /**
   * Whether what other nodes do is sure to be heard of. While it is not, nothing may be decided from memory: a
   * session that was revoked elsewhere would live on here.
   */
  hearsOthers(): boolean {
    const { push } = this.store;
    return push === undefined || push.isAlive();
  }

  /** Asks the store about a family. @returns the answer, and whether another node changed the family meanwhile. */
  async askAbout<T>(id: string, question: () => Promise<T>): Promise<{ answer: T; isStale: boolean }> {
    const open: OpenQuestion = { isStale: false };
    const questions = this.#questions.get(id) ?? new Set();
    this.#questions.set(id, questions.add(open));
    try {
      const answer = await this.ask(question());
      return { answer, isStale: open.isStale };
    } finally {
      questions.delete(open);
      if (questions.size === 0) this.#questions.delete(id);
    }
  }

  /**
   * Learns, from the store or from a verdict, that a family is over.
   *
   * @param isOwnDoing whether this process brought it about just now.
   */
  learnEnd(id: string, reason: EndReason, isOwnDoing = false): void {
    const family = this.registry.get(id);
    if (family !== undefined) {
      this.#unsaved.delete(family);
      this.#streaming.delete(family);
    }
    if (this.registry.bury(id, reason))
      this.observer.ended(reason, id, isOwnDoing ? { session: family?.identity } : undefined);
  }

  /** Ends a family over a theft verdict, and reports it once however many requests found out at the same time. */
  async convict(family: LiveFamily, reason: EndReason, kind: string): Promise<void> {
    const wasAlive = await this.ask(this.store.end(family.id, reason));
    if (wasAlive) this.observer.theft(kind, family.identity);
    this.learnEnd(family.id, reason);
  }

  /** Marks a family as having open streams, or none any more. */
  noteStreams(family: LiveFamily): void {
    if (family.streams > 0) this.#streaming.add(family);
    else this.#streaming.delete(family);
  }

  /** Ends families that have open streams but ran out: nobody will present an id of theirs and be told. */
  async endStreamsOverdue(): Promise<void> {
    const now = this.clock.now();
    for (const family of this.#streaming) {
      const settings = this.settingsFor(family.profile.certificate);
      if (now < family.endsMs && now - family.seenMs < settings.idleMs) continue;
      await this.save(family);
      // The store decides: another node may have seen activity that this one has not.
      await this.ask(this.store.expire(family.id, settings));
    }
  }

  stop(): void {
    for (const stop of this.#stopListening) stop();
  }

  /** Less than the grace: an old id is told from a stolen one by how long the newer one was silent in the store. */
  get #localTtlMs(): number {
    if (this.store.push === undefined) return Number.POSITIVE_INFINITY;
    return Math.min(LOCAL_TTL_MS, 0.75 * this.settings.graceMs);
  }

  #forgetFreshness(id: string | undefined): void {
    const questions = id === undefined ? [...this.#questions.values()] : [this.#questions.get(id) ?? []];
    for (const question of questions.flatMap((each) => [...each])) question.isStale = true;
    const known = id === undefined ? this.registry.families() : [this.registry.get(id)];
    for (const family of known) if (family !== undefined) family.freshUntilMs = 0;
  }

  #openJar(familySecret: string, stored: StoredFamily): CookieJar | undefined {
    if (stored.jar === undefined) return CookieJar.empty;
    return this.vault.openJar(stored.id, familySecret, stored.jar);
  }
}

function forAdministrators(settings: SessionSettings): SessionSettings {
  return {
    ...settings,
    idleMs: Math.min(settings.idleMs, ADMIN_IDLE_MS),
    lifetimeMs: Math.min(settings.lifetimeMs, ADMIN_LIFETIME_MS),
  };
}

/**
 * The family behind a session that a caller hands back.
 *
 * @throws GatewayError `internal` when the session is not one of this service's.
 */
export function familyBehind(session: LiveSession): LiveFamily {
  if (session instanceof LiveFamily) return session;
  throw new GatewayError('internal', 'the session was not made by this service');
}
