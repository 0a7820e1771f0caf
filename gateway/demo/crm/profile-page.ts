import type { UserContext } from './crm-context.ts';
import { sendPage, redirect } from './crm-answer.ts';
import { readForm } from './crm-body.ts';
import { believedAddress } from './crm-address.ts';
import { html, type Markup } from './html.ts';
import { avatar, say, titleOfAccount, workPage } from './page-frame.ts';
import { hashPassword, isPassword } from './password-hash.ts';
import { tokenField } from './record-card-page.ts';
import { endVisits, requireToken, sendVisitCookie } from './visit.ts';
import type { Word } from './language.ts';

/** Passwords of this length are taken by the CRM. */
export const PASSWORD_LENGTH = { least: 8, most: 200 };

/** GET /profile. */
export async function showProfile(context: UserContext, problem?: Word): Promise<void> {
  const { user, crm, account, request, url } = context;
  const isChanged = url.searchParams.get('done') === 'password';
  const fact = (label: Word, value: string): Markup =>
    html`<div>
      <dt>${say(context, label)}</dt>
      <dd>${value}</dd>
    </div>`;
  const content = html`<h1>${say(context, 'profile')}</h1>
    ${isChanged && html`<p class="notice" role="status">${say(context, 'passwordChanged')}</p>`}
    <div class="columns">
      <section class="card">
        <div class="person">
          ${avatar(user.name)}
          <h2>${user.name}</h2>
        </div>
        <dl class="facts">
          ${fact('username', user.login)} ${fact('account', titleOfAccount(account))}
          ${fact('role', say(context, user.isAdmin ? 'roleAdmin' : 'roleUser'))} ${fact('region', crm.region)}
          ${fact('signedInFrom', believedAddress(request))}
        </dl>
        <h3>${say(context, 'apiKey')}</h3>
        <p class="muted small">${say(context, 'apiKeyHint')}</p>
        <details class="secret">
          <summary>${say(context, 'reveal')}</summary>
          <code id="api-key">${user.apiKey}</code>
        </details>
      </section>
      <section class="card">
        <h2>${say(context, 'changePassword')}</h2>
        ${problem !== undefined && html`<p class="alert" role="alert">${say(context, problem)}</p>`}
        <form method="post" action="/profile/password" class="stack">
          ${tokenField(context)} ${passwordInput(context, 'oldPassword', 'old_password', 'current-password')}
          ${passwordInput(context, 'newPassword', 'new_password', 'new-password')}
          ${passwordInput(context, 'repeatPassword', 'repeat_password', 'new-password')}
          <button class="primary">${say(context, 'changePassword')}</button>
        </form>
      </section>
    </div>`;
  await sendPage(context, 200, workPage(context, say(context, 'profile'), 'profile', content));
}

/**
 * POST /profile/password: 302 on success, with the session cookie sent once more without `Secure`; 200 with the
 * mistake otherwise.
 */
export async function submitPassword(context: UserContext): Promise<void> {
  const { crm, account, user, visitId } = context;
  const form = await readForm(context.request);
  requireToken(context, form.get('csrf'));
  const password = form.get('new_password') ?? '';
  const problem = await findProblem(context, form, password);
  if (problem !== undefined) {
    await showProfile(context, problem);
    return;
  }
  crm.replica.put('user', account, user.login, { ...user, passwordHash: await hashPassword(password) });
  endVisits(context, user.login, visitId);
  await crm.peers.settled();
  sendVisitCookie(context, visitId);
  redirect(context, '/profile?done=password');
}

async function findProblem(
  { user }: UserContext,
  form: URLSearchParams,
  password: string,
): Promise<Word | undefined> {
  if (!(await isPassword(form.get('old_password') ?? '', user.passwordHash))) return 'oldPasswordWrong';
  if (password.length < PASSWORD_LENGTH.least || password.length > PASSWORD_LENGTH.most)
    return 'passwordShort';
  return password === form.get('repeat_password') ? undefined : 'passwordsDiffer';
}

function passwordInput(context: UserContext, label: Word, name: string, autocomplete: string): Markup {
  return html`<label
    >${say(context, label)}
    <input type="password" name="${name}" autocomplete="${autocomplete}" required />
  </label>`;
}
