import type { IncomingHttpHeaders } from 'node:http';

import { joinPermissions, stricterOpener, stricterReferrer } from '../policy/compile-answers.ts';
import type { SecurityHeaders } from '../policy/policy.ts';
import { accessHeaders } from './cross-origin.ts';
import type { RequestContext } from './request-context.ts';

/** Headers of the upstream that the gateway has a say in; they are written by {@link securityHeaders} only. */
export const SAID_HERE: ReadonlySet<string> = new Set([
  'x-content-type-options',
  'referrer-policy',
  'cross-origin-opener-policy',
  'permissions-policy',
]);

/**
 * Security headers of an answer (OWASP HTTP Headers Cheat Sheet): `nosniff` on every one, the others on pages, because
 * browsers look at them there only. Of `Referrer-Policy` and `Cross-Origin-Opener-Policy` the stricter value stays, the
 * gateway's or the upstream's; two values of `Permissions-Policy` are joined; of `Content-Security-Policy` both are
 * sent, so that both hold.
 *
 * @returns flat names and values.
 */
export function securityHeaders(context: RequestContext, upstream: IncomingHttpHeaders): readonly string[] {
  const { security } = context.route ?? {};
  if (security === undefined) return accessHeaders(context);
  const headers: string[] = [];
  const sniffing = security.nosniff ? 'nosniff' : textOf(upstream, 'x-content-type-options');
  if (sniffing !== undefined) headers.push('x-content-type-options', sniffing);
  const isPlain =
    upstream['referrer-policy'] === undefined &&
    upstream['cross-origin-opener-policy'] === undefined &&
    upstream['permissions-policy'] === undefined &&
    !context.hasQueryKey;
  if (!isPage(upstream['content-type'])) {
    if (!isPlain) pushTheirs(headers, context, upstream);
  } else if (isPlain) headers.push(...security.pageHeaders);
  else pushJoined(headers, context, security, upstream);
  headers.push(...accessHeaders(context));
  return headers;
}

/** What a browser may show as a page, scripts and all; what has no type may be anything. */
function isPage(type: string | undefined): boolean {
  return type === undefined || type.startsWith('text/html') || type.includes('xml') || type.includes('pdf');
}

function pushTheirs(headers: string[], { hasQueryKey }: RequestContext, upstream: IncomingHttpHeaders): void {
  for (const name of ['referrer-policy', 'cross-origin-opener-policy', 'permissions-policy']) {
    const theirs = textOf(upstream, name);
    // An address in which a key stood is told nobody, whatever the upstream says; `keyHeaders` says so.
    if (theirs !== undefined && !(hasQueryKey && name === 'referrer-policy')) headers.push(name, theirs);
  }
}

function pushJoined(
  headers: string[],
  { hasQueryKey }: RequestContext,
  { referrer, opener, permissions, contentSecurity }: SecurityHeaders,
  upstream: IncomingHttpHeaders,
): void {
  const push = (name: string, ours: string | undefined, join: (ours: string, theirs: string) => string) => {
    const theirs = textOf(upstream, name);
    const value = ours === undefined ? theirs : theirs === undefined ? ours : join(ours, theirs);
    if (value !== undefined) headers.push(name, value);
  };
  if (!hasQueryKey) push('referrer-policy', referrer, stricterReferrer);
  push('cross-origin-opener-policy', opener, stricterOpener);
  push('permissions-policy', permissions, joinPermissions);
  if (contentSecurity !== undefined) headers.push('content-security-policy', contentSecurity);
}

function textOf(upstream: IncomingHttpHeaders, name: string): string | undefined {
  const value = upstream[name];
  return typeof value === 'string' ? value : value?.join(', ');
}
