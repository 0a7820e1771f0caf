import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { CrmContext, CrmRequest, VisitContext, Visiting } from './crm-context.ts';
import { CrmProblem } from './crm-problem.ts';
import type { UserRecord, VisitRecord } from './crm-record.ts';

/** The CRM's own session cookie, which a gateway keeps away from the browser. */
const VISIT_COOKIE = 'CRMSESSID';
const VISIT_LIFE_MS = 12 * 3_600_000;
/** Other sessions younger than this outlive a password change: a bad habit from real life. */
const SPARED_MS = 5000;

/** A cookie of the request by name; the first one if it is there more than once. */
export function cookieOf(request: IncomingMessage, name: string): string | undefined {
  for (const pair of (request.headers.cookie ?? '').split(';')) {
    const [key = '', ...value] = pair.trim().split('=');
    if (key === name) return value.join('=');
  }
  return undefined;
}

/** The session that the request's cookie names, if it is alive. Sets no cookie. */
export function findVisit<C extends CrmRequest>(context: C): (C & Visiting) | undefined {
  const visitId = cookieOf(context.request, VISIT_COOKIE) ?? '';
  const visit = context.crm.replica.get('visit', context.account, visitId);
  if (visit === undefined || context.crm.now() - visit.createdAtMs > VISIT_LIFE_MS) return undefined;
  return { ...context, visitId, visit };
}

/**
 * The request's session; an unknown or missing cookie gets a new anonymous one with the answer, which every reachable
 * node knows before the visitor does.
 */
export async function openVisit(context: CrmContext): Promise<VisitContext> {
  const present = findVisit(context);
  if (present !== undefined) return present;
  const visitId = randomBytes(16).toString('hex');
  const visit = { login: '', csrf: randomToken(), createdAtMs: context.crm.now(), signedInAtMs: 0 };
  context.crm.replica.put('visit', context.account, visitId, visit);
  await context.crm.peers.settled();
  sendVisitCookie(context, visitId);
  return { ...context, visitId, visit };
}

/** Sets the session cookie, always without `Secure`: the CRM believes itself on plain HTTP. */
export function sendVisitCookie(context: CrmContext, visitId: string): void {
  context.response.appendHeader('Set-Cookie', `${VISIT_COOKIE}=${visitId}; Path=/; HttpOnly; SameSite=Lax`);
}

/** The person behind a session, or `undefined` before sign-in and after sign-out. */
export function userOf<C extends CrmRequest & Visiting>(context: C): (C & { user: UserRecord }) | undefined {
  const { crm, account, visit } = context;
  const user = visit.login === '' ? undefined : crm.replica.get('user', account, visit.login);
  return user === undefined ? undefined : { ...context, user };
}

/** Signs a person in. The session keeps its id, which is the habit that makes fixation possible. */
export function signIn({ crm, account, visitId, visit }: VisitContext, login: string): void {
  crm.replica.put('visit', account, visitId, { ...visit, login, signedInAtMs: crm.now() });
}

/** Signs out. The session lives on without a person, and the cookie stays in the browser. */
export function signOut({ crm, account, visitId, visit }: VisitContext): void {
  const signedOut: VisitRecord = { ...visit, login: '', csrf: randomToken(), signedInAtMs: 0 };
  crm.replica.put('visit', account, visitId, signedOut);
}

/** Ends a person's sessions after a password change, except one and those that are very young. */
export function endVisits({ crm, account }: CrmContext, login: string, exceptId: string): void {
  for (const [id, visit] of crm.replica.list('visit', account)) {
    const isSpared = id === exceptId || crm.now() - visit.signedInAtMs < SPARED_MS;
    if (visit.login === login && !isSpared) crm.replica.put('visit', account, id, null);
  }
}

/** Whether a form's token is the one of this session. */
export function isOwnToken({ visit }: VisitContext, given: string | null | undefined): boolean {
  const expected = Buffer.from(visit.csrf);
  const token = Buffer.from(given ?? '');
  return token.length === expected.length && timingSafeEqual(token, expected);
}

/** @throws CrmProblem 403 when a form's token is not the one of this session. */
export function requireToken(context: VisitContext, given: string | null | undefined): void {
  if (!isOwnToken(context, given)) throw new CrmProblem(403, 'the form has expired');
}

function randomToken(): string {
  return randomBytes(24).toString('base64url');
}
