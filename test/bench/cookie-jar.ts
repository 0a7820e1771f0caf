/** The cookies of one person's browser for one origin, as far as a load generator needs them. */
export class CookieJar {
  readonly #cookies = new Map<string, string>();
  #header = '';
  readonly #more: string;

  /** How often a cookie that was already there got another value: rotations adopted. */
  rotations = 0;

  /** @param more header lines that go with every request. */
  constructor(more = '') {
    this.#more = more;
  }

  /** The lines of a request's head that say who comes (HTTP/1). */
  get lines(): string {
    return this.#header === '' ? this.#more : `cookie: ${this.#header}\r\n${this.#more}`;
  }

  /** The `Cookie` header's value; empty when there is none. */
  get header(): string {
    return this.#header;
  }

  /** Takes one `Set-Cookie` value as a browser does: stores, replaces, or deletes on `Max-Age=0`. */
  adopt(setCookie: string): void {
    const [pair = '', ...attributes] = setCookie.split(';');
    const equals = pair.indexOf('=');
    if (equals <= 0) return;
    const name = pair.slice(0, equals).trim();
    const value = pair.slice(equals + 1).trim();
    if (attributes.some((attribute) => /^\s*max-age\s*=\s*(0|-\d+)\s*$/i.test(attribute))) {
      this.#cookies.delete(name);
    } else {
      const before = this.#cookies.get(name);
      if (before !== undefined && before !== value) this.rotations += 1;
      this.#cookies.set(name, value);
    }
    this.#header = [...this.#cookies].map((entry) => entry.join('=')).join('; ');
  }
}
