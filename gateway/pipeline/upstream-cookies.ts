import type { IncomingHttpHeaders } from 'node:http';

import { parseSetCookie, type SetCookie } from '../core/cookie.ts';
import { GatewayError } from '../core/gateway-error.ts';
import { clientNetwork } from '../core/network.ts';
import { CLEARING_COOKIE, type LiveSession, type Verdict } from '../session/session.ts';
import { type AnswerChange, headerValues, setCookieName, UNCHANGED } from './answer-headers.ts';
import type { ObservedAnswer } from './answer-outcome.ts';
import type { RequestContext } from './request-context.ts';
import type { PipelineServices } from './services.ts';

/** The cookies of an answer that stay on the server; a deletion has `expiresAtMs` 0. */
export function vaultedCookies(
  context: RequestContext,
  headers: IncomingHttpHeaders,
  nowMs: number,
): SetCookie[] {
  const { isVaulted } = context.snapshot.policy.sessions;
  const cookies: SetCookie[] = [];
  for (const value of headerValues(headers, 'set-cookie')) {
    if (!isVaulted(setCookieName(value))) continue;
    const cookie = parseSetCookie(value, nowMs);
    if (cookie === undefined) continue;
    const isGone = cookie.expiresAtMs !== undefined && cookie.expiresAtMs <= nowMs;
    cookies.push(isGone ? { ...cookie, expiresAtMs: 0 } : cookie);
  }
  return cookies;
}

/**
 * A visitor without a session: the upstream's cookie begins an anonymous one, where its sign-in form keeps its token.
 *
 * @throws GatewayError `rate_limited` when the client's network began too many.
 */
export async function strangerCookies(
  context: RequestContext,
  services: PipelineServices,
  cookies: readonly SetCookie[],
  answer: ObservedAnswer,
): Promise<AnswerChange> {
  const { verdict, account } = context;
  // After a sign-in the browser holds a newer cookie already; this late answer must not touch it.
  if (verdict.kind === 'ended' && verdict.reason === 'login') return UNCHANGED;
  if (!cookies.some(isKept) || isSharedCacheable(answer.headers)) {
    return verdict.kind === 'ended' ? { setCookie: CLEARING_COOKIE } : UNCHANGED;
  }
  if (!(await services.takeAnonymous(clientNetwork(context.clientAddress)))) {
    throw new GatewayError('rate_limited', 'too many anonymous sessions from one network', {
      retryAfterSeconds: 60,
    });
  }
  const begun = await services.sessions.begin({
    account,
    subject: undefined,
    context,
    setCookies: cookies,
    replaces: undefined,
  });
  return { setCookie: begun.setCookie };
}

/**
 * A live session: its jar takes what the upstream set, and a successor of its id goes out when one is due.
 *
 * @throws GatewayError `session_ended` when the upstream replaced the session that it was sent.
 */
export async function liveCookies(
  context: RequestContext,
  services: PipelineServices,
  session: LiveSession,
  cookies: readonly SetCookie[],
  answer: ObservedAnswer,
): Promise<AnswerChange> {
  // An answer to a request that began before the jar changed speaks of a session that is no more.
  const isCurrent = session.jarVersion === context.jarVersion;
  if (isCurrent && session.subject !== undefined && lostUpstream(context, session, cookies)) {
    await services.sessions.end(session, 'upstream');
    context.endedHere = true;
    throw new GatewayError('session_ended', 'the upstream replaced the session cookie that it was sent');
  }
  if (cookies.length > 0 && isCurrent)
    await services.sessions.storeCookies(session, context.jarVersion, cookies);
  return mayCarryCookie(answer) ? { setCookie: await issueSuccessor(context, services) } : UNCHANGED;
}

/** The `Set-Cookie` value of the session's next id, when one is due and this answer is one that a browser keeps. */
export async function issueSuccessor(
  context: RequestContext,
  services: PipelineServices,
): Promise<string | undefined> {
  const { verdict } = context;
  if (verdict.kind !== 'live' || !verdict.due) return undefined;
  return isForPage(context) ? await rotated(services, verdict) : undefined;
}

/** Whether a page or a script of one asks: what else a page loads may end up in caches that are shared by pages. */
export function isForPage({ head: { fetchDest } }: RequestContext): boolean {
  return (
    fetchDest === undefined || fetchDest === 'document' || fetchDest === 'iframe' || fetchDest === 'empty'
  );
}

/** A store that is away costs a rotation and not the answer: the id that the browser holds stays valid. */
async function rotated(
  { sessions, report }: PipelineServices,
  verdict: Verdict & { kind: 'live' },
): Promise<string | undefined> {
  try {
    return await sessions.rotate(verdict);
  } catch (error) {
    if (!(error instanceof GatewayError) || error.code !== 'store_unavailable') throw error;
    report.notice('no rotation: the session store cannot be written', { sessionId: verdict.session.id });
    return undefined;
  }
}

function lostUpstream(context: RequestContext, session: LiveSession, cookies: readonly SetCookie[]): boolean {
  if (context.snapshot.policy.sessions.upstreamLost === 'keep') return false;
  return cookies.some((cookie) => {
    const sent = session.jarValue(cookie.name);
    return sent !== undefined && (sent !== cookie.value || !isKept(cookie));
  });
}

function isKept(cookie: SetCookie): boolean {
  return cookie.expiresAtMs === undefined || cookie.expiresAtMs > 0;
}

/** Set-Cookie on an answer that a shared cache keeps would hand one person's id to everybody. */
function isSharedCacheable(headers: IncomingHttpHeaders): boolean {
  const control = headers['cache-control'];
  return control !== undefined && /\b(?:public|s-maxage|immutable)\b/i.test(control);
}

/** Whether an answer may carry the session's cookie: no cache keeps it for others. */
export function mayCarryCookie(answer: ObservedAnswer): boolean {
  return answer.status !== 304 && !isSharedCacheable(answer.headers);
}
