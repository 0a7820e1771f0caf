import type { IncomingHttpHeaders } from 'node:http';

import { parseSetCookie } from '../core/cookie.ts';
import type { ObserveRule } from '../policy/policy.ts';
import type { AnswerHead, AnswerRule } from '../policy/recognition.ts';
import { headerValues, setCookieName } from './answer-headers.ts';
import { answerText } from './answer-text.ts';
import { readSubject, type Recognition } from './recognise.ts';
import type { RequestContext } from './request-context.ts';
import type { PipelineServices } from './services.ts';
import { type CrmStatement, readStatements } from './zasov-header.ts';

/** No content, a part of it, or the one that the client has already (RFC 9110 section 15). */
const BODILESS = new Set([204, 205, 206, 304]);
const NOTHING = Buffer.alloc(0);

/** An upstream's answer as far as the session stages look at it. */
export interface ObservedAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** The first 64 KiB, when a rule asked for them. */
  readonly prefix: Buffer | undefined;
}

/** What an answer says happened to people's sign-ins. */
export interface AnswerOutcome {
  /** The person that signed in. */
  readonly began: string | undefined;
  /** Whether a name and password were right: somebody signed in, or was given a credential. */
  readonly isSignedIn: boolean;
  readonly ended: boolean;
  /** People whose password or login changed. */
  readonly changed: readonly string[];
}

/** Whether a rule needs the first part of the body to know if the answer means success. */
export function needsPrefix(
  recognition: Recognition | undefined,
  status: number,
  headers: IncomingHttpHeaders,
): boolean {
  if (recognition === undefined) return false;
  const answer = answerHead(status, headers);
  const wants = ({ success }: { success: AnswerRule }) => success.body !== undefined && success.head(answer);
  const hasCredential = ({ success, credential }: ObserveRule) =>
    (credential.from === 'json' || success.body !== undefined) && success.head(answer);
  return (
    recognition.begins.some(wants) ||
    recognition.changes.some(wants) ||
    recognition.handOuts.some(hasCredential)
  );
}

/** Reads an answer by the policy's rules for an unmodified CRM, and by what a CRM that knows the gateway states. */
export function answerOutcome(
  context: RequestContext,
  services: PipelineServices,
  recognition: Recognition | undefined,
  answer: ObservedAnswer,
): AnswerOutcome {
  const statements = crmStatements(context, services, answer.headers);
  const stated = statements.find((each) => each.kind === 'begin');
  const changedBy = statements.flatMap((each) => (each.kind === 'credentials-changed' ? [each.subject] : []));
  const began = begunSubject(context, services, recognition, answer) ?? stated?.subject;
  const isHandedOut = recognition?.handOuts.some((rule) => isSuccess(context, rule, answer)) === true;
  return {
    began,
    isSignedIn: began !== undefined || isHandedOut,
    ended: recognition?.ends === true || statements.some((each) => each.kind === 'end'),
    changed: [...changedSubjects(context, recognition, answer), ...changedBy],
  };
}

function begunSubject(
  context: RequestContext,
  services: PipelineServices,
  recognition: Recognition | undefined,
  answer: ObservedAnswer,
): string | undefined {
  for (const rule of recognition?.begins ?? []) {
    if (!isSuccess(context, rule, answer)) continue;
    const subject = readSubject(rule.subject, context, recognition?.fields, readHeader(answer));
    if (subject !== undefined) return subject;
    services.report.notice('a sign-in succeeded but its rule found no name', { path: context.path });
  }
  return undefined;
}

function changedSubjects(
  context: RequestContext,
  recognition: Recognition | undefined,
  answer: ObservedAnswer,
): string[] {
  return (recognition?.changes ?? [])
    .filter((rule) => isSuccess(context, rule, answer))
    .flatMap(
      ({ subject }) =>
        (subject === 'session'
          ? context.subject
          : readSubject(subject, context, recognition?.fields, readHeader(answer))) ?? [],
    );
}

/** Reads headers of an answer as text. */
export function readHeader({ headers }: ObservedAnswer): (name: string) => string | undefined {
  return (name) => {
    const [value] = headerValues(headers, name);
    // Header bytes arrive as Latin-1 text; names of people are UTF-8.
    return value === undefined ? undefined : utf8(Buffer.from(value, 'latin1'));
  };
}

function isSuccess(
  context: RequestContext,
  { success }: { readonly success: AnswerRule },
  answer: ObservedAnswer,
): boolean {
  if (!success.head(answerHead(answer.status, answer.headers))) return false;
  if (success.body === undefined) return true;
  // Without a body nothing is known of what the page lacks, and the client chooses HEAD, ranges and conditions.
  if (context.method === 'HEAD' || BODILESS.has(answer.status)) return false;
  const encoding = headerValues(answer.headers, 'content-encoding').join(', ');
  const text = answerText(answer.prefix ?? NOTHING, encoding, answer.headers['content-type']);
  return text !== undefined && success.body(text);
}

/** The head of an answer as rules see it. */
export function answerHead(status: number, headers: IncomingHttpHeaders): AnswerHead {
  return {
    status,
    values: (name) => headerValues(headers, name),
    setsCookies: headerValues(headers, 'set-cookie').filter(setsValue).map(setCookieName),
  };
}

/** A deletion is a `Set-Cookie` too; only the Max-Age form and a date of the past count as one. */
function setsValue(header: string): boolean {
  const cookie = parseSetCookie(header, Date.now());
  return cookie?.expiresAtMs === undefined || cookie.expiresAtMs > Date.now();
}

function crmStatements(
  context: RequestContext,
  services: PipelineServices,
  headers: IncomingHttpHeaders,
): readonly CrmStatement[] {
  if (headers['zasov-session'] === undefined && headers['zasov-event'] === undefined) return [];
  const values = [...headerValues(headers, 'zasov-session'), ...headerValues(headers, 'zasov-event')];
  const { statements, mistakes } = readStatements(values);
  if (mistakes > 0) {
    services.report.notice('the CRM sent a Zasov header that cannot be read', { path: context.path });
  }
  // A CRM speaks for the account that it was asked about, and for no other.
  return statements.filter(
    (each) => each.kind !== 'begin' || (each.account ?? context.account) === context.account,
  );
}

function utf8(bytes: Buffer): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
