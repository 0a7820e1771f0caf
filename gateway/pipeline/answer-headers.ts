import type { IncomingHttpHeaders } from 'node:http';

import { limitHeaders } from './limit.ts';
import type { RequestContext } from './request-context.ts';
import { SAID_HERE, securityHeaders } from './security-headers.ts';

/** Headers of the upstream's answer that end at the gateway (RFC 9110 section 7.6.1). */
const DROPPED = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'strict-transport-security',
  'alt-svc',
  // What the upstream is made of is nobody's business.
  'server',
  'x-powered-by',
  'x-aspnet-version',
  'x-aspnetmvc-version',
]);

/** Headers that speak of one body and would lie of another (RFC 9110 section 8). */
const OF_THE_BODY = new Set([
  'content-type',
  'content-length',
  'content-encoding',
  'content-md5',
  'content-digest',
  'repr-digest',
  'digest',
  'etag',
  'last-modified',
  'accept-ranges',
]);

const SHARED_CACHING = /^(?:public|private|s-maxage|proxy-revalidate)\b/i;

/** What the stages decided to change about an answer. */
export interface AnswerChange {
  /** The gateway's own `Set-Cookie`, if any. */
  readonly setCookie: string | undefined;
  /** What the client may show at its next sign-in, to go with a session's cookie. */
  readonly knownCookie?: string | undefined;
  /** What stands in the answer in place of what the upstream said. */
  readonly replacement?: AnswerReplacement | undefined;
}

/** A part of an answer that the gateway writes anew, because the upstream's holds a credential. */
export interface AnswerReplacement {
  /** JSON. */
  readonly body?: Buffer;
  readonly header?: { readonly name: string; readonly value: string };
}

/** An answer that nobody changes. */
export const UNCHANGED: AnswerChange = { setCookie: undefined };

/**
 * Builds the client's headers from the upstream's: hop-by-hop and vaulted cookies taken out, `Location` pointed at
 * the gateway, caching forbidden to shared caches where a session's cookie goes out.
 *
 * @returns flat names and values.
 */
export function answerHeaders(
  context: RequestContext,
  upstream: IncomingHttpHeaders,
  change: AnswerChange,
): string[] {
  const headers: string[] = [];
  const named = namingConnection(upstream);
  // RFC 9110 section 8.6: there is no content whose length could be told.
  const isEmpty = context.status === 204 || context.status === 205;
  const isPrivate = setsOwnCookie(context, change);
  const replaced = isPrivate ? 'cache-control' : '';
  const own = keyHeaders(context);
  for (const name in upstream) {
    if (isDropped(name) || name === replaced || own.includes(name)) continue;
    if (isEmpty && name === 'content-length') continue;
    if (!isNamed(named, name)) pushHeader(headers, context, name, upstream[name]);
  }
  if (isPrivate) pushOwnCookies(headers, change, context.wroteCookie, upstream);
  headers.push(...own);
  headers.push(...limitHeaders(context), ...securityHeaders(context, upstream));
  const { strictTransport } = context.snapshot;
  if (strictTransport !== '') headers.push('strict-transport-security', strictTransport);
  return headers;
}

/** An upstream's headers with a part of its answer replaced; nobody keeps such an answer. */
export function replaceInHeaders(
  upstream: IncomingHttpHeaders,
  { body, header }: AnswerReplacement,
): IncomingHttpHeaders {
  const kept = Object.entries(upstream).filter(([name]) => body === undefined || !OF_THE_BODY.has(name));
  const headers: IncomingHttpHeaders = { ...Object.fromEntries(kept), 'cache-control': 'no-store' };
  if (header !== undefined) headers[header.name] = header.value === '' ? undefined : header.value;
  if (body !== undefined) {
    headers['content-type'] = 'application/json';
    headers['content-length'] = String(body.byteLength);
  }
  return headers;
}

function setsOwnCookie({ wroteCookie }: RequestContext, { setCookie }: AnswerChange): boolean {
  return setCookie !== undefined || wroteCookie !== undefined;
}

function pushOwnCookies(
  headers: string[],
  { setCookie, knownCookie }: AnswerChange,
  wroteCookie: string | undefined,
  upstream: IncomingHttpHeaders,
): void {
  if (setCookie !== undefined) headers.push('set-cookie', setCookie);
  if (knownCookie !== undefined) headers.push('set-cookie', knownCookie);
  if (wroteCookie !== undefined) headers.push('set-cookie', wroteCookie);
  headers.push('cache-control', privateCaching(upstream));
}

const NO_HEADERS: readonly string[] = [];

/**
 * What the gateway has to say about the key that came: how long it lives still (RFC 8594 for `Sunset`), and that no
 * page may tell others an address in which it stood.
 *
 * @returns flat names and values.
 */
export function keyHeaders({ key, hasQueryKey }: RequestContext): readonly string[] {
  const warning = key?.warning;
  if (warning === undefined && !hasQueryKey) return NO_HEADERS;
  const headers = hasQueryKey ? ['referrer-policy', 'no-referrer'] : [];
  if (warning !== undefined) headers.push('sunset', warning.sunset, 'zasov-key-expires', warning.expires);
  return headers;
}

/**
 * Nobody but the browser may keep an answer with a session's cookie, and of a page not even the browser. What else the
 * upstream said about keeping it stays (RFC 9111 section 5.2.2).
 */
function privateCaching(upstream: IncomingHttpHeaders): string {
  const isPage = upstream['content-type']?.startsWith('text/html') === true;
  const others = (upstream['cache-control'] ?? '')
    .split(',')
    .map((directive) => directive.trim())
    .filter((directive) => directive !== '' && !SHARED_CACHING.test(directive));
  return [...new Set(['private', ...(isPage ? ['no-store'] : []), ...others])].join(', ');
}

/** `Zasov-*` is what the CRM says to the gateway, and the gateway to clients: nobody else's. */
function isDropped(name: string): boolean {
  // Which other origins may read an answer is for the policy to say.
  return (
    DROPPED.has(name) ||
    SAID_HERE.has(name) ||
    name.startsWith('access-control-') ||
    (name.includes('zasov-') && /^(?:x-)?zasov-/.test(name))
  );
}

function pushHeader(
  headers: string[],
  context: RequestContext,
  name: string,
  value: string | string[] | undefined,
): void {
  if (value === undefined) return;
  if (name === 'set-cookie') pushCookies(headers, context, value);
  else if (name === 'location') headers.push(name, rewriteLocation(context, String(value)));
  else if (typeof value === 'string') headers.push(name, value);
  else for (const each of value) headers.push(name, each);
}

/** Values of an upstream header, however often it came. */
export function headerValues(upstream: IncomingHttpHeaders, name: string): readonly string[] {
  const value = upstream[name];
  if (value === undefined) return [];
  return typeof value === 'string' ? [value] : value;
}

/** The name of the cookie that a `Set-Cookie` value sets. */
export function setCookieName(value: string): string {
  return value.slice(0, value.indexOf('=')).trim();
}

function pushCookies(headers: string[], context: RequestContext, value: string | string[]): void {
  const { isVaulted } = context.snapshot.policy.sessions;
  for (const each of typeof value === 'string' ? [value] : value) {
    const name = setCookieName(each);
    // The gateway's own names are never the upstream's to set.
    if (!isVaulted(name) && !name.startsWith('__Host-zasov') && !name.startsWith('__Host-Http-zasov')) {
      headers.push('set-cookie', each);
    }
  }
}

/** A `Connection` header that can name others; the one that upstreams send with every answer names none. */
function namingConnection({ connection }: IncomingHttpHeaders): string | undefined {
  return connection === 'keep-alive' ? undefined : connection;
}

function isNamed(connection: string | undefined, name: string): boolean {
  if (connection === undefined) return false;
  const text = connection.toLowerCase();
  return text.includes(name) && text.split(',').some((part) => part.trim() === name);
}

/**
 * Points a `Location` that names one of our nodes, or the public host over plain HTTP, at the gateway: the upstream
 * knows neither the scheme nor the name that the client uses.
 */
export function rewriteLocation(context: RequestContext, location: string): string {
  const match = /^(?:https?:)?\/\/([^/?#]+)(.*)$/is.exec(location);
  if (match?.[1] === undefined) return location;
  const host = match[1].toLowerCase();
  const own = context.message.authority.toLowerCase();
  const isOurs =
    host === own || host === context.host || context.snapshot.upstreams.nodeAt(host) !== undefined;
  if (!isOurs) return location;
  const rest = match[2] ?? '';
  return `https://${context.message.authority}${rest.startsWith('/') ? rest : `/${rest}`}`;
}
