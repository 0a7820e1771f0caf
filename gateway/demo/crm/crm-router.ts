import { apiList, apiRead, apiRemove, apiSave, findKeyUser, type KeyContext } from './key-api.ts';
import { sendFile, submitFileRemoval, submitUpload } from './card-file.ts';
import { sendJson } from './crm-answer.ts';
import type { CrmContext, UserContext, VisitContext } from './crm-context.ts';
import { CrmProblem } from './crm-problem.ts';
import { showDashboard } from './dashboard-page.ts';
import { serveLiveEvents } from './live-events.ts';
import { loginForKey, openLogin, showLogin, submitLogin, submitLogout } from './login-door.ts';
import { showAccessDenied, showPeople, submitPerson, submitPersonPassword } from './people-page.ts';
import { showProfile, submitPassword } from './profile-page.ts';
import { showCard, showForm } from './record-card-page.ts';
import type { BookKind } from './record-field.ts';
import { openEdit, submitRecord, submitRemoval } from './record-form.ts';
import { showList } from './record-list-page.ts';
import { requirePeer, sendChanges, sendShelvedFile, takeOperations } from './replication-door.ts';
import {
  chooseLanguageCookie,
  redirectOldLink,
  sendEcho,
  sendHealth,
  sendPoll,
  sendStatic,
} from './small-answers.ts';
import { openVisit, userOf } from './visit.ts';

type Handler<C> = (context: C, book: BookKind, id: string) => Promise<void> | void;

interface CrmRoute {
  readonly method: RegExp;
  readonly path: RegExp;
  readonly run: (context: CrmContext, book: BookKind, id: string) => Promise<void> | void;
}

/** First match wins. `{book}` is leads or contacts, `{id}` an identifier. */
const ROUTES: readonly CrmRoute[] = [
  route('ANY', '/echo', (context) => sendEcho(context)),
  route('GET', '/healthz', (context) => sendHealth(context)),
  route('GET', '/static/{id}', (context, _book, id) => sendStatic(context, id)),
  route('GET', '/language', (context) => chooseLanguageCookie(context)),

  route('GET', '/replication/changes', forPeer(sendChanges)),
  route('POST', '/replication/operations', forPeer(takeOperations)),
  route(
    'GET',
    '/replication/files/{id}',
    forPeer((context, _book, id) => sendShelvedFile(context, id)),
  ),

  route('POST', '/api/v4/login', (context) => loginForKey(context)),
  route('GET', '/api/v4/{book}', forKey(apiList)),
  route(
    'POST',
    '/api/v4/{book}',
    forKey((context, book) => apiSave(context, book)),
  ),
  route('GET', '/api/v4/{book}/{id}', forKey(apiRead)),
  route('PATCH', '/api/v4/{book}/{id}', forKey(apiSave)),
  route('DELETE', '/api/v4/{book}/{id}', forKey(apiRemove)),

  route('GET', '/login', forVisit(openLogin)),
  route('POST', '/login', forVisit(submitLogin)),
  route('GET|POST', '/logout', forVisit(submitLogout)),

  route('GET', '/', forUser(showDashboard)),
  route('GET', '/lead/{id}', (context, _book, id) => redirectOldLink(context, id)),
  route('GET', '/{book}', forUser(showList)),
  route(
    'GET',
    '/{book}/new',
    forUser((context, book) => showForm(context, book, undefined, {})),
  ),
  route(
    'POST',
    '/{book}/new',
    forUser((context, book) => submitRecord(context, book, undefined)),
  ),
  route('GET', '/{book}/{id}', forUser(showCard)),
  route('POST', '/{book}/{id}', forUser(submitRecord)),
  route('GET', '/{book}/{id}/edit', forUser(openEdit)),
  route('POST', '/{book}/{id}/delete', forUser(submitRemoval)),
  route('POST', '/{book}/{id}/files', forUser(submitUpload)),
  route(
    'GET',
    '/files/{id}',
    forUser((context, _book, id) => sendFile(context, id)),
  ),
  route(
    'POST',
    '/files/{id}/delete',
    forUser((context, _book, id) => submitFileRemoval(context, id)),
  ),
  route(
    'GET',
    '/profile',
    forUser((context) => showProfile(context)),
  ),
  route('POST', '/profile/password', forUser(submitPassword)),
  route(
    'GET',
    '/admin',
    forAdmin((context) => showPeople(context)),
  ),
  route('POST', '/admin/users', forAdmin(submitPerson)),
  route('POST', '/admin/password', forAdmin(submitPersonPassword)),
  route('GET', '/ajax/poll', forUser(sendPoll)),
  route('GET', '/live/events', forUser(serveLiveEvents)),
];

/**
 * Answers a request.
 *
 * @throws CrmProblem 404 when no path matches, 405 when only the method does not, and what the handler throws.
 */
export async function answerRequest(context: CrmContext): Promise<void> {
  const { method = 'GET' } = context.request;
  const matching = ROUTES.filter((candidate) => candidate.path.test(context.url.pathname));
  const chosen = matching.find((candidate) => candidate.method.test(method));
  if (chosen === undefined)
    throw new CrmProblem(
      matching.length === 0 ? 404 : 405,
      matching.length === 0 ? 'no such page' : 'no such method',
    );
  const { book, id } = chosen.path.exec(context.url.pathname)?.groups ?? {};
  await chosen.run(context, book === 'contacts' ? 'contact' : 'lead', id ?? '');
}

function route(method: string, pattern: string, run: CrmRoute['run']): CrmRoute {
  const path = pattern
    .replace('{book}', String.raw`(?<book>leads|contacts)`)
    .replace('{id}', String.raw`(?<id>[\w.-]{1,64})`);
  const methods = { ANY: '.*', GET: 'GET|HEAD' }[method] ?? method;
  return { method: new RegExp(`^(?:${methods})$`), path: new RegExp(`^${path}$`), run };
}

function forPeer(run: Handler<CrmContext>): CrmRoute['run'] {
  return async (context, book, id) => {
    requirePeer(context);
    await run(context, book, id);
  };
}

function forKey(run: Handler<KeyContext>): CrmRoute['run'] {
  return async (context, book, id) => {
    const user = findKeyUser(context);
    if (user === undefined) await sendJson(context, 401, { error: 'X-Crm-Key is missing or wrong' });
    else await run({ ...context, user }, book, id);
  };
}

function forVisit(run: Handler<VisitContext>): CrmRoute['run'] {
  return async (context, book, id) => {
    await run(await openVisit(context), book, id);
  };
}

/** A visitor who is not signed in gets the login form with status 200, whatever was asked for, ajax too. */
function forUser(run: Handler<UserContext>): CrmRoute['run'] {
  return forVisit(async (visitor, book, id) => {
    const context = userOf(visitor);
    if (context === undefined) await showLogin(visitor);
    else await run(context, book, id);
  });
}

function forAdmin(run: Handler<UserContext>): CrmRoute['run'] {
  return forUser(async (context, book, id) => {
    if (context.user.isAdmin) await run(context, book, id);
    else await showAccessDenied(context);
  });
}
