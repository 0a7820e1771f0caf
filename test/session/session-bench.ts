import { join } from 'node:path';
import type { Test } from 'tap';
import { createMasterKey, parseKeyring } from '../../gateway/crypto/keyring.ts';
import { familyTransitions } from '../../gateway/session/rotate.ts';
import { createSessionService } from '../../gateway/session/session-service.ts';
import { SESSION_COOKIE } from '../../gateway/session/session.ts';
import type {
  BeginRequest,
  ClientContext,
  LiveSession,
  SessionService,
  SessionSettings,
  Verdict,
} from '../../gateway/session/session.ts';
import { openEmbeddedStore } from '../../gateway/store/embedded-store.ts';
import type { SessionStore } from '../../gateway/store/session-store.ts';
import { ManualClock } from '../support/manual-clock.ts';

/** The defaults of the policy: R 60 s, G 20 s, idle 30 min, lifetime 12 h. */
export const SETTINGS: SessionSettings = {
  rotateEveryMs: 60_000,
  graceMs: 20_000,
  idleMs: 1_800_000,
  crashGrace: false,
  lifetimeMs: 12 * 3_600_000,
  perSubject: 10,
  bind: { userAgent: true, network: false },
  anonymous: { lifetimeMs: 1_800_000 },
};

export const FIREFOX: ClientContext = { userAgent: 'Firefox', clientAddress: '192.0.2.7' };

/** Counts the questions that a store is asked; answers are the real store's. */
function counted(store: SessionStore, onTrip: (question: string) => void): SessionStore {
  return new Proxy(store, {
    get(target, name: keyof SessionStore) {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== 'function') return member;
      return (...values: unknown[]): unknown => {
        if (name !== 'onEnd') onTrip(name);
        return Reflect.apply(member, target, values);
      };
    },
  });
}

/** A session service on a store of its own, with a clock moved by hand. */
export class SessionBench {
  readonly clock = new ManualClock();
  /** Questions that the store was asked. */
  readonly trips: string[] = [];
  /** What the observer was told. */
  readonly events: string[] = [];
  readonly path: string;
  masterKey = createMasterKey();
  store: SessionStore;
  service: SessionService;
  readonly #settings: SessionSettings;
  readonly #familyLimit: number;

  constructor(t: Test, settings: Partial<SessionSettings> = {}, familyLimit = 50_000) {
    this.path = join(t.testdir({}), 'sessions.db');
    this.#settings = { ...SETTINGS, ...settings };
    this.#familyLimit = familyLimit;
    [this.store, this.service] = this.#open();
    t.teardown(() => this.store.close());
  }

  /** Opens the same file again, as after a restart. */
  reopen(): void {
    [this.store, this.service] = this.#open();
  }

  /** Stops in good order and starts again. */
  async restart(): Promise<void> {
    await this.service.close();
    await this.store.close();
    this.reopen();
  }

  /** The questions since the last call. */
  takeTrips(): string[] {
    return this.trips.splice(0);
  }

  /** Signs somebody in and hands over their browser. */
  async signIn(subject: string | undefined, extra: Partial<BeginRequest> = {}): Promise<Browser> {
    const begun = await this.service.begin({
      account: 'acme',
      subject,
      context: FIREFOX,
      setCookies: [],
      replaces: undefined,
      ...extra,
    });
    const browser = new Browser(this, begun.session, extra.context ?? FIREFOX);
    browser.store(begun.setCookie);
    return browser;
  }

  #open(): [SessionStore, SessionService] {
    const store = counted(openEmbeddedStore(this.path, familyTransitions, this.clock), (question) =>
      this.trips.push(question),
    );
    const service = createSessionService({
      store,
      keyring: parseKeyring(this.masterKey),
      clock: this.clock,
      settings: this.#settings,
      familyLimit: this.#familyLimit,
      observer: {
        rotated: () => this.events.push('rotated'),
        graceHit: () => this.events.push('grace'),
        theft: (kind, { subject }) => this.events.push(`theft ${kind} ${subject ?? '-'}`),
        ended: (reason) => this.events.push(`ended ${reason}`),
        storeSeconds: () => undefined,
      },
    });
    return [store, service];
  }
}

/** A browser: one cookie, replaced by every Set-Cookie that arrives. */
export class Browser {
  token = '';
  session: LiveSession;
  readonly context: ClientContext;
  readonly #bench: SessionBench;

  constructor(bench: SessionBench, session: LiveSession, context: ClientContext) {
    this.#bench = bench;
    this.session = session;
    this.context = context;
  }

  /** Takes a Set-Cookie value as a browser does. */
  store(setCookie: string | undefined): void {
    const token = setCookie === undefined ? undefined : tokenIn(setCookie);
    if (token !== undefined) this.token = token;
  }

  /** Presents the cookie. */
  async present(passive = false): Promise<Verdict> {
    return this.#bench.service.authenticate(this.token, this.context, passive);
  }

  /** Presents the cookie, and takes the successor that comes with the answer. @returns what it was, in one word. */
  async request(passive = false): Promise<string> {
    const verdict = await this.present(passive);
    if (verdict.kind !== 'live') return verdict.kind === 'ended' ? verdict.reason : 'none';
    this.session = verdict.session;
    if (verdict.due) this.store(await this.#bench.service.rotate(verdict));
    return verdict.due ? 'due' : 'live';
  }

  /** Works until its cookie has changed and the new one is confirmed. */
  async moveOn(): Promise<void> {
    const before = this.token;
    this.#bench.clock.advance(SETTINGS.rotateEveryMs);
    await this.request();
    await this.request();
    if (this.token === before) throw new Error('the cookie did not change');
  }

  /** Somebody else's copy of this browser's cookie. */
  copy(context: ClientContext = this.context): Browser {
    const thief = new Browser(this.#bench, this.session, context);
    thief.token = this.token;
    return thief;
  }
}

/** The token in a Set-Cookie value. */
export function tokenIn(setCookie: string): string {
  return setCookie.slice(SESSION_COOKIE.length + 1, setCookie.indexOf(';'));
}
