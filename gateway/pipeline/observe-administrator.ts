import type { Administrator } from '../admin/admin.ts';
import { GatewayError } from '../core/gateway-error.ts';
import { CLEARING_ADMIN_COOKIE, type LiveSession } from '../session/session.ts';
import { type AnswerChange, UNCHANGED } from './answer-headers.ts';
import type { AnswerOutcome, ObservedAnswer } from './answer-outcome.ts';
import type { RequestContext } from './request-context.ts';
import type { PipelineServices } from './services.ts';
import { isForPage, issueSuccessor, mayCarryCookie, vaultedCookies } from './upstream-cookies.ts';

/**
 * Draws the consequences of an answer for the session of an administrator. The certificate says who it is, so the
 * session begins by itself; it holds the CRM's cookies, and signing in to the CRM is that cookie's affair: a new
 * session takes over what the old one holds, because the id must change with what it is good for.
 *
 * @throws GatewayError `session_ended` when the session ended while the answer was under way; `store_unavailable`.
 */
export async function observeAdministrator(
  context: RequestContext,
  services: PipelineServices,
  administrator: Administrator,
  { began, ended, changed }: AnswerOutcome,
  answer: ObservedAnswer,
): Promise<AnswerChange> {
  const { session } = context;
  const { sessions, clock } = services;
  if (ended) {
    if (session !== undefined) await sessions.end(session, 'logout');
    return { setCookie: CLEARING_ADMIN_COOKIE };
  }
  if (session?.ended !== undefined)
    throw new GatewayError('session_ended', `the session ended under way: ${session.ended}`);
  for (const person of changed) await services.credentials.changed(context.account, person);
  const setCookies = vaultedCookies(context, answer.headers, clock.now());
  if (began !== undefined || session === undefined) {
    if (session === undefined && !(isForPage(context) && mayCarryCookie(answer))) return UNCHANGED;
    const begun = await sessions.begin({
      account: context.account,
      subject: administrator.name,
      context,
      setCookies,
      replaces: session,
    });
    return { setCookie: begun.setCookie };
  }
  return continued(context, services, session, answer);
}

async function continued(
  context: RequestContext,
  services: PipelineServices,
  session: LiveSession,
  answer: ObservedAnswer,
): Promise<AnswerChange> {
  const setCookies = vaultedCookies(context, answer.headers, services.clock.now());
  const isCurrent = session.jarVersion === context.jarVersion;
  if (setCookies.length > 0 && isCurrent)
    await services.sessions.storeCookies(session, context.jarVersion, setCookies);
  return mayCarryCookie(answer) ? { setCookie: await issueSuccessor(context, services) } : UNCHANGED;
}
