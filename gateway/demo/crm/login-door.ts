import type { CrmContext, VisitContext } from './crm-context.ts';
import { ownOrigin, redirect, sendJson, sendPage } from './crm-answer.ts';
import { readForm, readJson } from './crm-body.ts';
import { html } from './html.ts';
import { plainPage, say, titleOfAccount } from './page-frame.ts';
import { isPassword } from './password-hash.ts';
import { isOwnToken, signIn, signOut, userOf } from './visit.ts';
import type { UserRecord } from './crm-record.ts';
import type { Word } from './language.ts';

const JSON_LIMIT_BYTES = 16 * 1024;

/** Compared against for logins that do not exist, so that they take as long to refuse as those that do. */
const NOBODY = `scrypt$${'A'.repeat(22)}$${'A'.repeat(43)}`;

/** The form, with its token from the anonymous session; always 200, also after a failure. */
export async function showLogin(context: VisitContext, problem?: Word, login = ''): Promise<void> {
  const content = html`<h1>${say(context, 'signInTo')} ${titleOfAccount(context.account)}</h1>
    <p class="muted">${say(context, 'tagline')}</p>
    ${problem !== undefined && html`<p class="alert" role="alert">${say(context, problem)}</p>`}
    <form method="post" action="/login" class="stack">
      <input type="hidden" name="csrf" value="${context.visit.csrf}" />
      <label
        >${say(context, 'username')}
        <input
          name="username"
          value="${login}"
          autocomplete="username"
          autocapitalize="none"
          required
          autofocus
        />
      </label>
      <label
        >${say(context, 'password')}
        <input name="password" type="password" autocomplete="current-password" required />
      </label>
      <button class="primary">${say(context, 'signIn')}</button>
    </form>`;
  await sendPage(context, 200, plainPage(context, say(context, 'signIn'), content));
}

/** GET /login. */
export async function openLogin(context: VisitContext): Promise<void> {
  if (userOf(context) === undefined) await showLogin(context);
  else redirect(context, '/');
}

/**
 * POST /login. Success is 302 to this CRM's idea of its own address and sets no cookie, since the session keeps its
 * id; failure is 200 with the form.
 */
export async function submitLogin(context: VisitContext): Promise<void> {
  const form = await readForm(context.request);
  const login = form.get('username') ?? '';
  if (!isOwnToken(context, form.get('csrf'))) {
    await showLogin(context, 'formExpired', login);
    return;
  }
  const user = await findUser(context, login, form.get('password') ?? '');
  if (user === undefined) {
    await showLogin(context, 'wrongPassword', login);
    return;
  }
  signIn(context, user.login);
  await context.crm.peers.settled();
  redirect(context, `${ownOrigin(context.request)}/`);
}

/** GET or POST /logout, without a token. */
export async function submitLogout(context: VisitContext): Promise<void> {
  signOut(context);
  await context.crm.peers.settled();
  redirect(context, '/login');
}

/** POST /api/v4/login: a second door that hands out the permanent key of whoever knows the password. */
export async function loginForKey(context: CrmContext): Promise<void> {
  const { login, password } = await readJson(context.request, JSON_LIMIT_BYTES);
  const isUsable = typeof login === 'string' && typeof password === 'string';
  const user = isUsable ? await findUser(context, login, password) : undefined;
  if (user === undefined) await sendJson(context, 401, { error: 'wrong login or password' });
  else await sendJson(context, 200, { login: user.login, api_key: user.apiKey });
}

async function findUser(
  { crm, account }: CrmContext,
  login: string,
  password: string,
): Promise<UserRecord | undefined> {
  const user = crm.replica.get('user', account, login.trim().toLowerCase());
  const isRight = await isPassword(password, user?.passwordHash ?? NOBODY);
  return isRight ? user : undefined;
}
