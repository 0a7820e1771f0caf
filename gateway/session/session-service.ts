import { foldName } from '../core/fold-name.ts';
import type { Clock } from '../core/clock.ts';
import type { SetCookie } from '../core/cookie.ts';
import type { Keyring } from '../crypto/keyring.ts';
import type { EndReason, SessionStore, StoredFamily } from '../store/session-store.ts';
import { begin, cookieOf } from './begin.ts';
import type { LiveFamily } from './live-family.ts';
import { present } from './present.ts';
import { reissueGapMs } from './rotate.ts';
import type {
  BeginRequest,
  ClientContext,
  LiveSession,
  PersonKind,
  SessionObserver,
  SessionService,
  SessionSettings,
  SessionStream,
  SessionSummary,
  Verdict,
} from './session.ts';
import { SessionKeeper, familyBehind } from './session-keeper.ts';
import { createTokenMint, tokenHash } from './token.ts';
import { createVault } from './vault.ts';

/** What a session service is made of. */
export interface SessionServiceOptions {
  /** Opened with `familyTransitions`; the caller closes it after the service. */
  readonly store: SessionStore;
  readonly keyring: Keyring;
  readonly clock: Clock;
  readonly settings: SessionSettings;
  readonly observer: SessionObserver;
  /** Most families kept in memory; the others cost a store trip when they come back. Default 50,000. */
  readonly familyLimit?: number;
}

/** Makes the session service; see {@link SessionService}. */
export function createSessionService(options: SessionServiceOptions): SessionService {
  const { store, keyring, clock, settings, observer, familyLimit = 50_000 } = options;
  const mint = createTokenMint(keyring);
  const vault = createVault(keyring);
  return new Sessions(new SessionKeeper({ store, mint, vault, clock, settings, observer, familyLimit }));
}

class Sessions implements SessionService {
  readonly #keeper: SessionKeeper;

  constructor(keeper: SessionKeeper) {
    this.#keeper = keeper;
  }

  authenticate(token: string, context: ClientContext, passive: boolean): Verdict | Promise<Verdict> {
    const family = this.#keeper.registry.byToken(token);
    const verdict = family === undefined ? undefined : this.#recognise(family, context, passive);
    return verdict ?? present(this.#keeper, token, context, passive);
  }

  /** The steady state: no store, no hash, no allocation. Whatever would change the family's state goes to the store. */
  #recognise(family: LiveFamily, context: ClientContext, passive: boolean): Verdict | undefined {
    const keeper = this.#keeper;
    const settings = keeper.settingsFor(family.profile.certificate);
    const now = keeper.clock.now();
    if (!keeper.hearsOthers()) return undefined;
    if (now >= family.endsMs || now - family.seenMs >= settings.idleMs || now >= family.freshUntilMs) {
      return undefined;
    }
    if (!family.fits(context, settings.bind)) return undefined;
    family.usedMs = now;
    if (!passive) keeper.noteActivity(family, now);
    const isDue =
      now - family.confirmedMs >= settings.rotateEveryMs && now - family.triedMs >= reissueGapMs(settings);
    return isDue ? family.current?.due : family.current?.plain;
  }

  async rotate(verdict: Verdict & { kind: 'live' }): Promise<string | undefined> {
    const keeper = this.#keeper;
    const family = familyBehind(verdict.session);
    const settings = keeper.settingsFor(family.profile.certificate);
    const now = keeper.clock.now();
    if (family.ended !== undefined || now - family.triedMs < reissueGapMs(settings)) return undefined;
    const isCurrent = family.current?.token === verdict.token;
    // Set before the store is asked, so that parallel answers of one burst ask once. An answer that took minutes
    // carries a superseded id: it must not hold up the others.
    if (isCurrent) family.triedMs = now;
    const child = keeper.mint.mint(family.secret, family.generation + 1, now);
    const parentHash = isCurrent && family.current ? family.current.hash : tokenHash(verdict.token);
    const answer = await keeper.ask(keeper.store.issue(family.id, parentHash, tokenHash(child), settings));
    if (answer?.outcome === 'stubborn') keeper.observer.theft('stubborn', family.identity);
    if (answer?.outcome !== 'set' || isEnded(family)) return undefined;
    return cookieOf(family, child, now);
  }

  begin(request: BeginRequest): Promise<{ session: LiveSession; setCookie: string }> {
    return begin(this.#keeper, request);
  }

  async storeCookies(
    session: LiveSession,
    sentVersion: number,
    setCookies: readonly SetCookie[],
  ): Promise<boolean> {
    const keeper = this.#keeper;
    const family = familyBehind(session);
    if (family.ended !== undefined || sentVersion !== family.jarVersion) return false;
    const jar = family.jar.apply(setCookies, keeper.clock.now());
    if (jar === family.jar) return true;
    const sealed = keeper.vault.sealJar(family.id, family.secret, jar);
    const isStored = await keeper.ask(keeper.store.replaceJar(family.id, sealed, sentVersion));
    if (isStored) family.takeJar(jar, sentVersion + 1);
    // Another node changed the jar: the next request asks the store and gets it.
    else family.freshUntilMs = 0;
    return isStored;
  }

  async end(session: LiveSession, reason: EndReason): Promise<void> {
    await this.endById(session.id, reason);
  }

  async endById(id: string, reason: EndReason): Promise<boolean> {
    const wasAlive = await this.#keeper.ask(this.#keeper.store.end(id, reason));
    if (wasAlive) this.#keeper.learnEnd(id, reason);
    return wasAlive;
  }

  endPerson(account: string, subject: string, reason: EndReason, exceptId?: string): Promise<number> {
    return this.#endAll(this.#keeper.vault.persons(account, subject), reason, exceptId);
  }

  endAdministrator(account: string, name: string, reason: EndReason): Promise<number> {
    return this.#endAll(this.#keeper.vault.persons(account, name, 'administrator'), reason);
  }

  async list(filter: {
    account?: string | undefined;
    subject?: string | undefined;
    kind?: PersonKind;
  }): Promise<SessionSummary[]> {
    const keeper = this.#keeper;
    const { account, subject, kind } = filter;
    const persons =
      account === undefined || subject === undefined
        ? [undefined]
        : keeper.vault.persons(account, subject, kind);
    const families: StoredFamily[] = [];
    for (const person of persons) families.push(...(await keeper.ask(keeper.store.list(person))));
    return families.flatMap((family) => {
      const summary = this.#summary(family);
      if (summary === undefined) return [];
      const isWanted =
        (account === undefined || summary.account === account) &&
        (subject === undefined || isSameName(summary.subject, subject));
      return isWanted ? [summary] : [];
    });
  }

  count(): Promise<number> {
    return this.#keeper.ask(this.#keeper.store.count());
  }

  attach(session: LiveSession, stream: SessionStream): () => void {
    const family = familyBehind(session);
    if (family.ended !== undefined) {
      stream.close(family.ended);
      return () => undefined;
    }
    const detach = family.attach(stream);
    this.#keeper.noteStreams(family);
    return () => {
      detach();
      this.#keeper.noteStreams(family);
    };
  }

  activity(session: LiveSession): void {
    const family = familyBehind(session);
    const now = this.#keeper.clock.now();
    const { idleMs } = this.#keeper.settingsFor(family.profile.certificate);
    // A frame that comes after the idle limit proves nothing any more; the next tick ends the family.
    if (family.ended !== undefined || now - family.seenMs >= idleMs) return;
    this.#keeper.noteActivity(family, now);
  }

  configure(settings: SessionSettings): void {
    this.#keeper.settings = settings;
  }

  async tick(): Promise<void> {
    const keeper = this.#keeper;
    await keeper.endStreamsOverdue();
    await keeper.saveOlderThan(keeper.saveEveryMs);
    // Activity may be on its way from this or another node for as long as one writing interval.
    await keeper.ask(keeper.store.sweep(keeper.settings.idleMs + keeper.saveEveryMs));
  }

  async close(): Promise<void> {
    await this.#keeper.saveOlderThan(0);
    this.#keeper.stop();
  }

  async #endAll(persons: readonly string[], reason: EndReason, exceptId?: string): Promise<number> {
    let ended = 0;
    for (const person of persons)
      ended += await this.#keeper.ask(this.#keeper.store.endPerson(person, reason, exceptId));
    return ended;
  }

  #summary(stored: StoredFamily): SessionSummary | undefined {
    const profile = this.#keeper.vault.openProfile(stored.id, stored.profile);
    if (profile === undefined) return undefined;
    const { account, subject, userAgent, network, certificate } = profile;
    const seenMs = Math.max(stored.state.seenMs, this.#keeper.registry.get(stored.id)?.seenMs ?? 0);
    return {
      id: stored.id,
      account,
      subject,
      state: subject === undefined ? 'anonymous' : 'active',
      created_at: new Date(stored.createdMs).toISOString(),
      last_seen_at: new Date(seenMs).toISOString(),
      generation: stored.state.generation,
      user_agent: userAgent,
      network,
      ...(certificate === undefined ? {} : { administrator: true }),
    };
  }
}

/** Asked again after a wait: the family may have ended in the meantime, which the type checker cannot know. */
function isEnded(family: LiveFamily): boolean {
  return family.ended !== undefined;
}

function isSameName(name: string | undefined, wanted: string): boolean {
  return name !== undefined && foldName(name) === foldName(wanted);
}
