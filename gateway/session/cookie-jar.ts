import { remember } from '../core/remember.ts';
import type { SetCookie } from '../core/cookie.ts';

/** Most cookies that one jar keeps; the oldest make room, because any page of the CRM may set cookies. */
const COOKIE_LIMIT = 50;
/** Most characters of one cookie; browsers refuse longer ones too (RFC 6265bis section 5.6). */
const COOKIE_CHARS_LIMIT = 4096;
/** Most paths for which a header is remembered; every live session holds such a cache. */
const HEADER_CACHE_LIMIT = 8;
/** An expiry that moves by less than this share of the time left is no change worth a write. */
const EXPIRY_SLACK = 0.1;

/** One cookie as it is sealed: name, value, path, and expiry in ms since the epoch (null: with the session). */
type JarCookie = readonly [name: string, value: string, path: string, expiresAtMs: number | null];

/**
 * The upstream's cookies of one session: an immutable value, so that a change is one assignment. Domains are not
 * looked at: one session speaks to one application.
 */
export class CookieJar {
  /** The jar without a cookie. */
  static readonly empty: CookieJar = new CookieJar([]);

  readonly #cookies: readonly JarCookie[];
  readonly #headers = new Map<string, string>();
  readonly #rootOnly: boolean;
  #headersValidUntilMs = 0;

  private constructor(cookies: readonly JarCookie[]) {
    this.#cookies = cookies;
    this.#rootOnly = cookies.every((cookie) => cookie[2] === '/');
  }

  /**
   * Reads what {@link encode} made.
   *
   * @throws SyntaxError when the text is something else.
   */
  static decode(text: string): CookieJar {
    return new CookieJar(JSON.parse(text) as JarCookie[]);
  }

  /** The jar as text, to be sealed. */
  encode(): string {
    return JSON.stringify(this.#cookies);
  }

  get size(): number {
    return this.#cookies.length;
  }

  /**
   * The jar after an answer: a cookie replaces the one of the same name and path, an expiry in the past deletes it
   * (RFC 6265 section 5.3). Cookies that could not be sent back are passed over.
   *
   * @returns this very jar when the answer changes nothing in it.
   */
  apply(setCookies: readonly SetCookie[], nowMs: number): CookieJar {
    let cookies = this.#cookies;
    for (const setCookie of setCookies) {
      if (isSendable(setCookie)) cookies = applyOne(cookies, setCookie, nowMs);
    }
    return cookies === this.#cookies ? this : new CookieJar(cookies.slice(-COOKIE_LIMIT));
  }

  /** The `Cookie` header for a request path: longer cookie paths first, older cookies first (section 5.4). */
  header(requestPath: string, nowMs: number): string {
    if (nowMs >= this.#headersValidUntilMs) {
      // Some cookie ran out, or nothing was asked for yet.
      this.#headers.clear();
      this.#headersValidUntilMs = Math.min(...this.#alive(nowMs).map(expiryOf), Number.MAX_SAFE_INTEGER);
    }
    const query = requestPath.indexOf('?');
    const whole = query === -1 ? requestPath : requestPath.slice(0, query);
    const path = this.#rootOnly ? '/' : whole;
    const known = this.#headers.get(path);
    if (known !== undefined) return known;
    const text = this.#alive(nowMs)
      .filter((cookie) => pathMatches(path, cookie[2]))
      .toSorted((one, other) => other[2].length - one[2].length)
      .map((cookie) => `${cookie[0]}=${cookie[1]}`)
      .join('; ');
    return remember(this.#headers, HEADER_CACHE_LIMIT, path, text);
  }

  /** The value of the first cookie of this name, whatever its path. */
  value(name: string, nowMs: number): string | undefined {
    return this.#alive(nowMs).find((cookie) => cookie[0] === name)?.[1];
  }

  #alive(nowMs: number): readonly JarCookie[] {
    return this.#cookies.filter((cookie) => expiryOf(cookie) > nowMs);
  }
}

function applyOne(cookies: readonly JarCookie[], set: SetCookie, nowMs: number): readonly JarCookie[] {
  const { name, value, path, expiresAtMs } = set;
  const index = cookies.findIndex((cookie) => cookie[0] === name && cookie[2] === path);
  const old = cookies[index];
  if (expiresAtMs !== undefined && expiresAtMs <= nowMs) {
    return old === undefined ? cookies : cookies.toSpliced(index, 1);
  }
  const fresh: JarCookie = [name, value, path, expiresAtMs ?? null];
  if (old === undefined) return [...cookies, fresh];
  return isSame(old, fresh, nowMs) ? cookies : cookies.with(index, fresh);
}

/** A sliding expiry comes with every answer; writing each of them would cost a store trip per request. */
function isSame(old: JarCookie, fresh: JarCookie, nowMs: number): boolean {
  if (old[1] !== fresh[1]) return false;
  if (old[3] === null || fresh[3] === null) return old[3] === fresh[3];
  return Math.abs(fresh[3] - old[3]) < (old[3] - nowMs) * EXPIRY_SLACK;
}

function isSendable({ name, value }: SetCookie): boolean {
  // A control character would split the header in which the jar is sent, or make the client library refuse it.
  return (
    name.length + value.length <= COOKIE_CHARS_LIMIT && !/[^\u0020-\u007e\u0080-\u00ff]/.test(name + value)
  );
}

function expiryOf(cookie: JarCookie): number {
  return cookie[3] ?? Number.MAX_SAFE_INTEGER;
}

/** RFC 6265 section 5.1.4. */
function pathMatches(path: string, cookiePath: string): boolean {
  if (!path.startsWith(cookiePath)) return false;
  return path.length === cookiePath.length || cookiePath.endsWith('/') || path[cookiePath.length] === '/';
}
