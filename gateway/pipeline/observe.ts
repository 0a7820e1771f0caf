import type { IncomingHttpHeaders } from 'node:http';

import type { LiveKey } from '../api-key/api-key.ts';
import { GatewayError } from '../core/gateway-error.ts';
import { CLEARING_COOKIE, type LiveSession } from '../session/session.ts';
import { type AnswerChange, UNCHANGED } from './answer-headers.ts';
import { settleSignIn } from './sign-in-guard.ts';
import { type AnswerOutcome, answerOutcome, type ObservedAnswer } from './answer-outcome.ts';
import { confirmKey } from './authenticate-key.ts';
import { observeAdministrator } from './observe-administrator.ts';
import { handOut } from './hand-out.ts';
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
  const { verdict, session, key, administrator } = context;
  if (key?.stopped === true) return false;
  const isQuiet =
    // An administrator without a session is given one.
    (verdict.kind === 'none' && administrator === undefined) ||
    (verdict.kind === 'live' && !verdict.due && session?.ended === undefined);
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
 * A request under a key begins and ends no session; all that it can do is change a credential.
 *
 * @throws GatewayError `session_ended` when the answer must not reach the client: its session ended under way; the
 *   code of a refused key when that stopped; `store_unavailable` when a change of credentials is not done yet;
 *   `upstream_failed` as `handOut`.
 */
export async function observe(
  context: RequestContext,
  services: PipelineServices,
  recognition: Recognition | undefined,
  answer: ObservedAnswer,
): Promise<AnswerChange> {
  const outcome = answerOutcome(context, services, recognition, answer);
  // An application that failed judged nobody.
  const judged = answer.status >= 500 ? 'unjudged' : 'failed';
  settleSignIn(context, services, outcome.isSignedIn ? 'succeeded' : judged);
  const change = await observePrincipal(context, services, outcome, answer);
  if (recognition === undefined || recognition.handOuts.length === 0) return change;
  const replacement = await handOut(context, services, recognition.handOuts, recognition.fields, answer);
  return replacement === undefined ? change : { ...change, replacement };
}

function observePrincipal(
  context: RequestContext,
  services: PipelineServices,
  outcome: AnswerOutcome,
  answer: ObservedAnswer,
): Promise<AnswerChange> {
  const { administrator, key } = context;
  if (administrator !== undefined)
    return observeAdministrator(context, services, administrator, outcome, answer);
  return key === undefined
    ? observeSession(context, services, outcome, answer)
    : observeKey(context, services, key, outcome.changed);
}

async function observeSession(
  context: RequestContext,
  services: PipelineServices,
  { began, ended, changed }: AnswerOutcome,
  answer: ObservedAnswer,
): Promise<AnswerChange> {
  const { session, account } = context;
  const setCookies = vaultedCookies(context, answer.headers, services.clock.now());
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
    services.ownWrites.began(context, begun.session.id);
    return { setCookie: begun.setCookie, knownCookie: rememberClient(context, services, began) };
  }
  if (session?.ended !== undefined && session.subject !== undefined) {
    throw new GatewayError('session_ended', `the session ended under way: ${session.ended}`);
  }
  for (const person of changed) await services.credentials.changed(account, person);
  // The store ended this session too if it is that person's, however the name was typed.
  if (session?.subject !== undefined && hasEnded(session)) return { setCookie: CLEARING_COOKIE };
  return session === undefined
    ? strangerCookies(context, services, setCookies, answer)
    : liveCookies(context, services, session, setCookies, answer);
}

async function observeKey(
  context: RequestContext,
  services: PipelineServices,
  key: LiveKey,
  changed: readonly string[],
): Promise<AnswerChange> {
  if (key.stopped) await confirmKey(context, services.keys);
  for (const person of changed) await services.credentials.changed(context.account, person);
  return UNCHANGED;
}

/** Only where failed sign-ins are counted does it matter who signed in from where before. */
function rememberClient(
  { snapshot, knownCookie, account }: RequestContext,
  { knownClients }: PipelineServices,
  subject: string,
): string | undefined {
  if (snapshot.policy.signInRules.length === 0) return undefined;
  return knownClients.remember(knownCookie, account, subject);
}

/** Asked again after a wait: the session may have ended in the meantime, which the type checker cannot know. */
function hasEnded(session: LiveSession): boolean {
  return session.ended !== undefined;
}
