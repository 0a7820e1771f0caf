import type { IncomingHttpHeaders } from 'node:http';

import { GatewayError } from '../core/gateway-error.ts';
import { CLEARING_COOKIE, type LiveSession } from '../session/session.ts';
import type { AnswerChange } from './answer-headers.ts';
import { answerOutcome, type ObservedAnswer } from './answer-outcome.ts';
import type { Recognition } from './recognise.ts';
import type { RequestContext } from './request-context.ts';
import type { PipelineServices } from './services.ts';
import { liveCookies, strangerCookies, vaultedCookies } from './upstream-cookies.ts';

/** Whether an answer can change nothing about sessions: nearly all of them, decided without a promise. */
export function isUneventful(
  context: RequestContext,
  recognition: Recognition | undefined,
  headers: IncomingHttpHeaders,
): boolean {
  const { verdict, session } = context;
  const isQuiet =
    verdict.kind === 'none' || (verdict.kind === 'live' && !verdict.due && session?.ended === undefined);
  return (
    isQuiet &&
    recognition === undefined &&
    headers['set-cookie'] === undefined &&
    headers['zasov-session'] === undefined &&
    headers['zasov-event'] === undefined
  );
}

/**
 * Draws the consequences of an answer for sessions: sign-out, sign-in, a session that ended under way, credential
 * change, vaulted cookies, rotation. In that order, because each decides over the next.
 *
 * @throws GatewayError `session_ended` when the answer must not reach the client: its session ended under way.
 */
export async function observe(
  context: RequestContext,
  services: PipelineServices,
  recognition: Recognition | undefined,
  answer: ObservedAnswer,
): Promise<AnswerChange> {
  const { session, account } = context;
  const setCookies = vaultedCookies(context, answer.headers, services.clock.now());
  const { began, ended, changed } = answerOutcome(context, services, recognition, answer);
  if (ended) {
    if (session !== undefined) await services.sessions.end(session, 'logout');
    return { setCookie: CLEARING_COOKIE };
  }
  if (began !== undefined) {
    const begun = await services.sessions.begin({
      account,
      subject: began,
      context,
      setCookies,
      replaces: session,
    });
    return { setCookie: begun.setCookie };
  }
  if (session?.ended !== undefined && session.subject !== undefined) {
    throw new GatewayError('session_ended', `the session ended under way: ${session.ended}`);
  }
  for (const person of changed) await services.sessions.endPerson(account, person, 'credentials');
  // The store ended this session too if it is that person's, however the name was typed.
  if (session?.subject !== undefined && hasEnded(session)) return { setCookie: CLEARING_COOKIE };
  return session === undefined
    ? strangerCookies(context, services, setCookies, answer)
    : liveCookies(context, services, session, setCookies, answer);
}

/** Asked again after a wait: the session may have ended in the meantime, which the type checker cannot know. */
function hasEnded(session: LiveSession): boolean {
  return session.ended !== undefined;
}
