/** One cookie of a `Cookie` header. */
export interface CookiePair {
  readonly name: string;
  readonly value: string;
}

/** One `Set-Cookie` header, as far as a cookie jar needs it (RFC 6265bis section 5.6). */
export interface SetCookie extends CookiePair {
  /** Path attribute; `/` when absent or not absolute. */
  readonly path: string;
  /** When it expires, milliseconds since the epoch; `undefined` means with the session, 0 or past means delete. */
  readonly expiresAtMs: number | undefined;
}

/** Splits a `Cookie` header; pairs without `=` are kept with an empty name, as browsers send them. */
export function parseCookies(header: string): CookiePair[] {
  const pairs: CookiePair[] = [];
  for (const part of header.split(';')) {
    const text = part.trim();
    if (text === '') continue;
    const equals = text.indexOf('=');
    pairs.push(
      equals === -1
        ? { name: '', value: text }
        : { name: text.slice(0, equals).trim(), value: text.slice(equals + 1).trim() },
    );
  }
  return pairs;
}

/**
 * Reads a `Set-Cookie` header the way a browser's jar does: Max-Age wins over Expires, unknown attributes are
 * passed over.
 *
 * @param nowMs the time from which Max-Age counts.
 * @returns `undefined` when there is no usable name.
 */
export function parseSetCookie(header: string, nowMs: number): SetCookie | undefined {
  const [pair = '', ...attributes] = header.split(';');
  const equals = pair.indexOf('=');
  const name = pair.slice(0, Math.max(equals, 0)).trim();
  if (name === '') return undefined;
  const seen: SeenAttributes = { path: '/', maxAge: undefined, expires: undefined };
  for (const attribute of attributes) readAttribute(attribute, nowMs, seen);
  const expiresAtMs = seen.maxAge ?? seen.expires;
  return { name, value: pair.slice(equals + 1).trim(), path: seen.path, expiresAtMs };
}

interface SeenAttributes {
  path: string;
  maxAge: number | undefined;
  expires: number | undefined;
}

/** The last attribute of a name counts; a date or an age that cannot be read is passed over. */
function readAttribute(attribute: string, nowMs: number, seen: SeenAttributes): void {
  const equals = attribute.indexOf('=');
  const key = (equals === -1 ? attribute : attribute.slice(0, equals)).trim().toLowerCase();
  const value = equals === -1 ? '' : attribute.slice(equals + 1).trim();
  if (key === 'path') seen.path = value.startsWith('/') ? value : '/';
  else if (key === 'max-age' && /^-?\d+$/.test(value)) seen.maxAge = nowMs + Number(value) * 1000;
  else if (key === 'expires') {
    const time = Date.parse(value);
    if (!Number.isNaN(time)) seen.expires = time;
  }
}
