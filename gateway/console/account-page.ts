import { createHash } from 'node:crypto';

import type { IssuedKey, KeyService, KeySummary } from '../api-key/api-key.ts';
import type { AuditSink } from '../core/audit-event.ts';
import type { Clock } from '../core/clock.ts';
import { parseCookies } from '../core/cookie.ts';
import { GatewayError } from '../core/gateway-error.ts';
import { clientNetwork } from '../core/network.ts';
import type { Keyring } from '../crypto/keyring.ts';
import type { AlarmBook } from '../pipeline/alarm-book.ts';
import type { AccountPage, OwnAnswer } from '../pipeline/own-page.ts';
import { prefersRussian } from '../pipeline/problem-page.ts';
import type { RequestContext } from '../pipeline/request-context.ts';
import type { BodyFields } from '../policy/recognition.ts';
import { CLEARING_COOKIE, type LiveSession, type SessionService } from '../session/session.ts';
import { isCurrent, LABEL_LENGTH } from './account-keys.ts';
import { ACCOUNT_STYLE } from './account-style.ts';
import { ACCOUNT_URL, drawAccount } from './draw-account.ts';
import { ACCOUNT_WORDS, type AccountNote, type PageLanguage } from './account-words.ts';
import { createFormTokens, type FormTokens } from './form-token.ts';
import { createMoments } from './moment.ts';
import { createFlashCookies, type Flash, type FlashCookies } from './page-flash.ts';

/** What the account page works with. */
export interface AccountPageOptions {
  readonly sessions: SessionService;
  readonly keys: KeyService;
  readonly alarms: AlarmBook;
  readonly audit: AuditSink;
  readonly keyring: Keyring;
  readonly clock: Clock;
}

/** What can be done, by its name on record; the operator's operations on keys have the same. */
const EVENTS: ReadonlyMap<string, string> = new Map([
  ['reveal', 'key.collect'],
  ['rotate', 'key.rotate'],
  ['revoke', 'key.revoke'],
  ['create', 'key.issue'],
  ['end', 'session.end'],
  ['end-others', 'session.end_others'],
]);
const LANGUAGE_COOKIE = '__Host-zasov-lang';
const YEAR_SECONDS = 31_536_000;
/** Lets the one style in and forms to this very host; nothing else: no script, no picture, no frame around it. */
const SECURITY = `default-src 'none'; style-src 'sha256-${createHash('sha256').update(ACCOUNT_STYLE).digest('base64')}'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'`;

/**
 * Makes the page on which a person sees the own keys, sessions and alarms and can end any of them (OWASP Session
 * Management, "Manual Session Expiration"). It works on what belongs to the person of the session, and on nothing else:
 * another's id is no different from one that does not exist. It keeps nothing: any worker or node shows it.
 */
export function createAccountPage(options: AccountPageOptions): AccountPage {
  return new Account(options);
}

/** Who looks at the page. */
interface Viewer {
  readonly context: RequestContext;
  readonly session: LiveSession;
  readonly subject: string;
}

class Account implements AccountPage {
  readonly #options: AccountPageOptions;
  readonly #tokens: FormTokens;
  readonly #flashes: FlashCookies<AccountNote>;

  constructor(options: AccountPageOptions) {
    this.#options = options;
    this.#tokens = createFormTokens(options.keyring);
    this.#flashes = createFlashCookies(options.keyring, options.clock);
  }

  async answer(context: RequestContext, form: BodyFields | undefined): Promise<OwnAnswer> {
    const { session } = context;
    const subject = session?.subject;
    if (session === undefined || subject === undefined)
      throw new GatewayError('session_required', 'no live session');
    const viewer = { context, session, subject };
    if (form !== undefined) return this.#submit(viewer, form);
    const wanted = context.query.get('lang');
    if (wanted !== 'ru' && wanted !== 'en') return this.#show(viewer, 200);
    const chosen = `${LANGUAGE_COOKIE}=${wanted}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=${YEAR_SECONDS}`;
    return redirect(context, ACCOUNT_URL, chosen);
  }

  async #submit(viewer: Viewer, form: BodyFields): Promise<OwnAnswer> {
    const { context, session } = viewer;
    // Nothing has happened yet, so the page that says so needs no redirect.
    if (!this.#tokens.isValid(session.id, form.form('token'))) return this.#show(viewer, 403, 'stale');
    if (form.form('action') === 'sign-out') {
      await this.#options.sessions.end(session, 'logout');
      return redirect(context, context.snapshot.policy.sessions.loginPage, CLEARING_COOKIE);
    }
    await this.#record(viewer, form);
    const done = await this.#act(viewer, form);
    return redirect(context, ACCOUNT_URL, this.#flashes.write(session.id, done));
  }

  /** What is done to a key stands on record before it is done; sessions that end have records of their own, too. */
  async #record({ context, session, subject }: Viewer, form: BodyFields): Promise<void> {
    const event = EVENTS.get(form.form('action') ?? '');
    if (event === undefined) return;
    const { account, id } = session;
    const about = form.form('id')?.slice(0, 64);
    const record = {
      event,
      facts: {
        by: 'owner',
        account,
        session: id,
        [event.startsWith('key.') ? 'key' : 'ends']: about,
        from: clientNetwork(context.clientAddress),
        request: context.requestId,
      },
      person: { account, subject },
    };
    if (event.startsWith('key.')) await this.#options.audit.commit(record);
    else this.#options.audit.note(record);
  }

  async #act(viewer: Viewer, form: BodyFields): Promise<Flash<AccountNote>> {
    const id = form.form('id') ?? '';
    switch (form.form('action')) {
      case 'reveal':
        return this.#reveal(viewer, id);
      case 'rotate':
        return this.#rotate(viewer, id);
      case 'revoke':
        return this.#revoke(viewer, id);
      case 'create':
        return this.#create(viewer, form.form('label') ?? '');
      case 'end':
        return this.#end(viewer, id);
      case 'end-others':
        return this.#endOthers(viewer);
      default:
        return { note: 'stale' };
    }
  }

  async #reveal({ session: { account }, subject }: Viewer, id: string): Promise<Flash<AccountNote>> {
    const key = await this.#options.keys.collect(id, account, subject);
    return key === undefined ? { note: 'shownBefore' } : { note: 'revealed', key };
  }

  async #rotate(viewer: Viewer, id: string): Promise<Flash<AccountNote>> {
    const key = (await this.#ownKey(viewer, id)) && (await this.#options.keys.rotate(id, 0));
    return key === undefined ? { note: 'gone' } : { note: 'rotated', key };
  }

  async #revoke(viewer: Viewer, id: string): Promise<Flash<AccountNote>> {
    const isOwn = (await this.#ownKey(viewer, id)) !== undefined;
    return { note: isOwn && (await this.#options.keys.revoke(id)) ? 'revoked' : 'gone' };
  }

  async #create(viewer: Viewer, label: string): Promise<Flash<AccountNote>> {
    const { session, subject } = viewer;
    if (!mayCreate(viewer, await this.#keysOf(viewer))) return { note: 'tooMany' };
    const name = label.trim().slice(0, LABEL_LENGTH);
    const { keys } = this.#options;
    const key = await keys.issue({ account: session.account, subject, label: name });
    // Of several that are asked for at once, none may go past the bound.
    if ((await this.#keysOf(viewer)).filter(isCurrent).length <= mostKeys(viewer))
      return { note: 'created', key };
    await keys.revoke(key.id);
    return { note: 'tooMany' };
  }

  async #end(viewer: Viewer, id: string): Promise<Flash<AccountNote>> {
    const { sessions } = this.#options;
    const own = await this.#sessionsOf(viewer);
    const isOwn = own.some((each) => each.id === id);
    return { note: isOwn && (await sessions.endById(id, 'revoked')) ? 'ended' : 'gone' };
  }

  async #endOthers({ session, subject }: Viewer): Promise<Flash<AccountNote>> {
    await this.#options.sessions.endPerson(session.account, subject, 'revoked', session.id);
    return { note: 'endedOthers' };
  }

  async #ownKey(viewer: Viewer, id: string): Promise<KeySummary | undefined> {
    return (await this.#keysOf(viewer)).find((key) => key.id === id);
  }

  #keysOf({ session: { account }, subject }: Viewer): Promise<KeySummary[]> {
    return this.#options.keys.list({ account, subject });
  }

  #sessionsOf({ session: { account }, subject }: Viewer) {
    return this.#options.sessions.list({ account, subject });
  }

  async #show(viewer: Viewer, status: number, refusal?: AccountNote): Promise<OwnAnswer> {
    const { context, session, subject } = viewer;
    const { clock, alarms } = this.#options;
    const language = chooseLanguage(context);
    const [keys, sessions, known] = await Promise.all([
      this.#keysOf(viewer),
      this.#sessionsOf(viewer),
      alarms.of(session.account, subject),
    ]);
    const told =
      refusal === undefined ? this.#flashes.read(session.id, context.head.cookie) : { flash: undefined };
    const nowMs = clock.now();
    const html = drawAccount({
      language,
      words: ACCOUNT_WORDS[language],
      moments: createMoments(language, nowMs),
      nowMs,
      account: session.account,
      subject,
      token: this.#tokens.make(session.id),
      note: refusal ?? told?.flash?.note,
      fresh: told?.flash?.key satisfies IssuedKey | undefined,
      keys,
      mayCreate: mayCreate(viewer, keys),
      sessions,
      currentId: session.id,
      alarms: known,
    });
    const body = Buffer.from(html);
    const headers = ownHeaders(context);
    headers.push('content-type', 'text/html; charset=utf-8', 'content-language', language);
    headers.push('content-length', String(body.byteLength));
    // A HEAD shows nobody anything.
    if (told?.flash !== undefined && context.method === 'GET') headers.push('set-cookie', told.clearing);
    return { status, headers, body };
  }
}

function mayCreate(viewer: Viewer, keys: readonly KeySummary[]): boolean {
  return keys.filter(isCurrent).length < mostKeys(viewer);
}

function mostKeys({ context }: Viewer): number {
  return context.snapshot.policy.apiKeys.ownKeys;
}

/** What the person chose, else what the browser says. */
function chooseLanguage({ head }: RequestContext): PageLanguage {
  const chosen = parseCookies(head.cookie).find(({ name }) => name === LANGUAGE_COOKIE)?.value;
  if (chosen === 'ru' || chosen === 'en') return chosen;
  return prefersRussian(head.acceptLanguage) ? 'ru' : 'en';
}

function redirect(context: RequestContext, location: string, setCookie: string): OwnAnswer {
  const headers = ownHeaders(context);
  headers.push('location', location, 'content-length', '0', 'set-cookie', setCookie);
  return { status: 303, headers, body: Buffer.alloc(0) };
}

/** Kept nowhere, told to nobody, framed by nobody. */
function ownHeaders({ requestId }: RequestContext): string[] {
  return [
    'cache-control',
    'no-store',
    'content-security-policy',
    SECURITY,
    'referrer-policy',
    'no-referrer',
    'x-content-type-options',
    'nosniff',
    'cross-origin-opener-policy',
    'same-origin',
    'cross-origin-resource-policy',
    'same-origin',
    'vary',
    'Accept-Language, Cookie',
    'x-request-id',
    requestId,
  ];
}
