import { GatewayError } from '../core/gateway-error.ts';
import type { Glob } from '../core/glob.ts';
import { parseCookies } from '../core/cookie.ts';
import { KNOWN_COOKIE } from './known-client.ts';
import { WROTE_COOKIE } from './own-writes.ts';

/** A `Cookie` header taken apart into ours and theirs. */
export interface BrowserCookies {
  /** The presented session token. */
  readonly token: string | undefined;
  /** Says who signed in from this browser before. */
  readonly known: string | undefined;
  /** Who passed the browser's last change on; came twice, it says nothing that can be relied on, and is kept. */
  readonly wrote: string | undefined;
  /** What may go on to the upstream; empty when nothing is left. */
  readonly rest: string;
}

const EQUALS = 0x3d;
const KNOWN = `${KNOWN_COOKIE}=`;
const NONE: BrowserCookies = { token: undefined, known: undefined, wrote: undefined, rest: '' };

/**
 * Takes the gateway's cookie out, and every cookie that must not reach the upstream from a browser: the names that
 * are kept on the server, those under `strip`, and all names of the gateway's own.
 *
 * @param own name of the session cookie of this listener.
 * @throws GatewayError `bad_cookie` when the gateway's cookie came twice: one of them was planted.
 */
export function takeCookies(header: string, own: string, isVaulted: Glob, isStripped: Glob): BrowserCookies {
  if (header === '') return NONE;
  const steady = takeSteady(header, own);
  if (steady !== undefined) return steady;
  let token: string | undefined;
  let known: string | undefined;
  let wrote: string | undefined;
  let rest = '';
  for (const { name, value } of parseCookies(header)) {
    if (name === own) {
      if (token !== undefined)
        throw new GatewayError('bad_cookie', 'two session cookies came with one request');
      token = value;
    } else if (name === WROTE_COOKIE) {
      wrote = wrote === undefined ? value : '';
    } else if (name === KNOWN_COOKIE) {
      known = value;
    } else if (!isHeldBack(name, value, isVaulted, isStripped)) {
      rest = `${rest}${rest === '' ? '' : '; '}${name === '' ? value : `${name}=${value}`}`;
    }
  }
  return { token, known, wrote, rest };
}

/** The steady state: a browser that holds our cookie, perhaps that of a known client, and nothing else. */
function takeSteady(header: string, own: string): BrowserCookies | undefined {
  if (isAlone(header, own))
    return { token: header.slice(own.length + 1), known: undefined, wrote: undefined, rest: '' };
  const [first = '', second = '', third] = header.split('; ', 3);
  const [ours, known] = first.startsWith(KNOWN) ? [second, first] : [first, second];
  if (third !== undefined || !isAlone(ours, own) || !known.startsWith(KNOWN)) return undefined;
  const token = ours.slice(own.length + 1);
  return { token, known: known.slice(KNOWN.length), wrote: undefined, rest: '' };
}

function isHeldBack(name: string, value: string, isVaulted: Glob, isStripped: Glob): boolean {
  return isKept(name, isVaulted, isStripped) || hidesKept(name, value, isVaulted, isStripped);
}

function isAlone(header: string, name: string): boolean {
  return header.startsWith(name) && header.charCodeAt(name.length) === EQUALS && !header.includes(';');
}

/**
 * Whether a value hides a cookie: one without a name of its own (`=SID=x`), or one behind a comma, where servers that
 * still follow RFC 2965 begin a new cookie.
 */
function hidesKept(name: string, value: string, isVaulted: Glob, isStripped: Glob): boolean {
  if (!value.includes('=')) return false;
  return value.split(',').some((part, index) => {
    const equals = part.indexOf('=');
    const isCookie = equals > 0 && (name === '' || index > 0);
    return isCookie && isKept(part.slice(0, equals).trim(), isVaulted, isStripped);
  });
}

/** PHP reads `a.b`, `a b` and `a[b` as `a_b`: every spelling that an upstream takes for a kept name is kept. */
function isKept(name: string, isVaulted: Glob, isStripped: Glob): boolean {
  if (isOurs(name) || isVaulted(name) || isStripped(name)) return true;
  const folded = name.replaceAll(/[. [\]]/g, '_');
  return folded !== name && (isVaulted(folded) || isStripped(folded));
}

function isOurs(name: string): boolean {
  return name.startsWith('__Host-zasov') || name.startsWith('__Host-Http-zasov');
}
