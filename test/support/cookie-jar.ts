import { parseSetCookie } from '../../gateway/core/cookie.ts';

/** A browser's cookies for one origin: the newest `Set-Cookie` to arrive wins, deletions are obeyed. */
export class CookieJar {
  readonly #values = new Map<string, string>();

  /** Copies another jar, as a thief does. */
  static copyOf(other: CookieJar): CookieJar {
    const copy = new CookieJar();
    for (const [name, value] of other.#values) copy.#values.set(name, value);
    return copy;
  }

  /** Takes the `Set-Cookie` values of an answer. */
  store(setCookies: readonly string[]): void {
    const nowMs = Date.now();
    for (const header of setCookies) {
      const cookie = parseSetCookie(header, nowMs);
      if (cookie === undefined) continue;
      if (cookie.expiresAtMs !== undefined && cookie.expiresAtMs <= nowMs) this.#values.delete(cookie.name);
      else this.#values.set(cookie.name, cookie.value);
    }
  }

  get(name: string): string | undefined {
    return this.#values.get(name);
  }

  set(name: string, value: string): void {
    this.#values.set(name, value);
  }

  names(): string[] {
    return [...this.#values.keys()].toSorted();
  }

  /** Value of the `Cookie` header; empty when there are no cookies. */
  header(): string {
    return [...this.#values].map(([name, value]) => `${name}=${value}`).join('; ');
  }
}
