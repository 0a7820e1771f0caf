import type { RequestContext } from './request-context.ts';

/** Signs the assertion that tells the CRM who comes. */
export interface AssertionSigner {
  /** @returns a compact JWT (RFC 7519) with ES256 (RFC 7518). */
  sign(payload: Record<string, unknown>): string;
}

/** Life of an assertion, and how much of it must be left when it is sent. */
const ASSERTION_LIFE_MS = 60_000;
const ASSERTION_LEFT_MS = 30_000;

/** Whoever the headers speak of: a session, a key, or an administrator who has no session yet. */
interface IdentityHolder {
  readonly id: string | undefined;
  readonly account: string;
  derived: unknown;
}

/** Identity headers of one session or key, built once and renewed with the assertion. */
interface Identity {
  readonly subject: string;
  readonly account: string;
  assertion: string;
  expiresMs: number;
}

/**
 * Builds the headers of the forwarded request: what the client sent and may send, the vaulted cookies, who the
 * client is, over which channel it came (RFC 7239 and the older names), and the trace (W3C Trace Context).
 *
 * @returns flat lower-case names and values; the client's own claims under these names are gone already.
 */
export function upstreamHeaders(context: RequestContext, signer: AssertionSigner, nowMs: number): string[] {
  const { head, message, session } = context;
  const headers = head.forward;
  const jar = session === undefined ? '' : session.jarHeader(context.path);
  const cookies = jar === '' ? context.cookies : context.cookies === '' ? jar : `${jar}; ${context.cookies}`;
  headers.push('host', message.authority);
  if (cookies !== '') headers.push('cookie', cookies);
  const forPart = context.clientAddress.includes(':')
    ? `"[${context.clientAddress}]"`
    : context.clientAddress;
  headers.push(
    'forwarded',
    `for=${forPart};host="${message.authority}";proto=https`,
    'x-forwarded-for',
    context.clientAddress,
    'x-forwarded-proto',
    'https',
    'x-forwarded-host',
    message.authority,
    'x-request-id',
    context.requestId,
    'traceparent',
    `00-${context.requestId}-${context.spanId}-01`,
  );
  pushPrincipal(headers, context, signer, nowMs);
  return headers;
}

function pushPrincipal(
  headers: string[],
  context: RequestContext,
  signer: AssertionSigner,
  nowMs: number,
): void {
  const { session, key, administrator } = context;
  if (key !== undefined) {
    pushIdentity(headers, key, key.subject, 'api-key', signer, nowMs);
    const { upstreamHeader } = context.snapshot.policy.apiKeys;
    if (upstreamHeader !== undefined && key.upstreamCredential !== undefined)
      headers.push(upstreamHeader, key.upstreamCredential);
  } else if (administrator !== undefined) {
    const holder = session ?? { id: undefined, account: context.account, derived: undefined };
    pushIdentity(headers, holder, administrator.name, 'admin', signer, nowMs);
  } else if (session?.subject !== undefined)
    pushIdentity(headers, session, session.subject, 'session', signer, nowMs);
}

function pushIdentity(
  headers: string[],
  holder: IdentityHolder,
  subject: string,
  auth: 'session' | 'api-key' | 'admin',
  signer: AssertionSigner,
  nowMs: number,
): void {
  const identity = (holder.derived ??= {
    subject: headerText(subject),
    account: holder.account,
    assertion: '',
    expiresMs: 0,
  }) as Identity;
  if (identity.expiresMs - nowMs < ASSERTION_LEFT_MS) {
    const issued = Math.floor(nowMs / 1000);
    identity.expiresMs = nowMs + ASSERTION_LIFE_MS;
    identity.assertion = signer.sign({
      iss: 'zasov',
      aud: 'crm',
      sub: subject,
      account: holder.account,
      auth,
      [auth === 'api-key' ? 'key_id' : 'sid']: holder.id,
      iat: issued,
      exp: issued + ASSERTION_LIFE_MS / 1000,
    });
  }
  headers.push(
    'x-zasov-subject',
    identity.subject,
    'x-zasov-account',
    identity.account,
    'x-zasov-auth',
    auth,
    'x-zasov-assertion',
    identity.assertion,
  );
}

/** A name as header text: what is not visible ASCII is percent-encoded (RFC 9110 section 5.5 allows no more). */
export function headerText(name: string): string {
  return /^[\x21-\x24\x26-\x7e]+$/.test(name) ? name : encodeURIComponent(name);
}
