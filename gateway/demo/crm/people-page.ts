import { randomBytes } from 'node:crypto';
import type { UserContext } from './crm-context.ts';
import { redirect, sendPage } from './crm-answer.ts';
import { readForm } from './crm-body.ts';
import { CrmProblem } from './crm-problem.ts';
import type { UserRecord } from './crm-record.ts';
import { html, type Markup } from './html.ts';
import { avatar, say, workPage } from './page-frame.ts';
import { hashPassword } from './password-hash.ts';
import { PASSWORD_LENGTH } from './profile-page.ts';
import { tokenField } from './record-card-page.ts';
import { endVisits, requireToken } from './visit.ts';
import type { Word } from './language.ts';

const PEOPLE_LIMIT = 200;

/** GET /admin: everyone of the account, for its administrator. */
export async function showPeople(context: UserContext, problem?: Word): Promise<void> {
  const { crm, account, url } = context;
  const done = url.searchParams.get('done');
  const notice: Word = done === 'created' ? 'userCreated' : 'passwordChanged';
  const content = html`<h1>${say(context, 'admin')}</h1>
    ${problem !== undefined && html`<p class="alert" role="alert">${say(context, problem)}</p>`}
    ${done !== null && problem === undefined && html`<p class="notice" role="status">${say(context, notice)}</p>`}
    <div class="columns wide-left">
      <section class="card">
        <h2>${say(context, 'users')}</h2>
        <ul class="people">
          ${crm.replica.list('user', account).map(([, person]) => personRow(context, person))}
        </ul>
      </section>
      <section class="card">
        <h2>${say(context, 'newUser')}</h2>
        <form method="post" action="/admin/users" class="stack">
          ${tokenField(context)}
          <label>${say(context, 'fullName')}<input name="name" maxlength="80" required /></label>
          <label
            >${say(context, 'username')}<input
              name="login"
              maxlength="32"
              pattern="[a-z][a-z0-9._\\-]*"
              required
          /></label>
          <label
            >${say(context, 'password')}<input
              name="new_password"
              type="password"
              minlength="8"
              autocomplete="new-password"
              required
          /></label>
          <label class="check"
            ><input type="checkbox" name="is_admin" value="1" />${say(context, 'makeAdmin')}</label
          >
          <button class="primary">${say(context, 'create')}</button>
        </form>
      </section>
    </div>`;
  await sendPage(context, 200, workPage(context, say(context, 'admin'), 'admin', content));
}

/** What everybody else sees of /admin: a refusal with status 200, as applications like to do. */
export async function showAccessDenied(context: UserContext): Promise<void> {
  const content = html`<section class="card empty">
    <h1>${say(context, 'accessDenied')}</h1>
    <p class="muted">${say(context, 'accessDeniedText')}</p>
    <p><a class="button" href="/">${say(context, 'backHome')}</a></p>
  </section>`;
  await sendPage(context, 200, workPage(context, say(context, 'accessDenied'), 'dashboard', content));
}

/** POST /admin/users. */
export async function submitPerson(context: UserContext): Promise<void> {
  const { crm, account } = context;
  const form = await readForm(context.request);
  requireToken(context, form.get('csrf'));
  const login = (form.get('login') ?? '').trim().toLowerCase();
  const name = (form.get('name') ?? '').trim().slice(0, 80);
  const password = form.get('new_password') ?? '';
  const isTaken = crm.replica.get('user', account, login) !== undefined;
  const isWellFormed = /^[a-z][\w.-]{0,31}$/.test(login) && name !== '' && isGoodPassword(password);
  if (isTaken || !isWellFormed || crm.replica.size('user', account) >= PEOPLE_LIMIT) {
    await showPeople(context, 'userInvalid');
    return;
  }
  crm.replica.put('user', account, login, {
    login,
    name,
    isAdmin: form.get('is_admin') === '1',
    passwordHash: await hashPassword(password),
    apiKey: `crm_${randomBytes(20).toString('hex')}`,
  });
  await crm.peers.settled();
  redirect(context, '/admin?done=created');
}

/** POST /admin/password?login=…: the administrator sets another person's password; an empty one changes nothing. */
export async function submitPersonPassword(context: UserContext): Promise<void> {
  const { crm, account, url } = context;
  const login = url.searchParams.get('login') ?? '';
  const person = crm.replica.get('user', account, login);
  if (person === undefined) throw new CrmProblem(404, 'no such person');
  const form = await readForm(context.request);
  requireToken(context, form.get('csrf'));
  const password = form.get('new_password') ?? '';
  if (password === '') {
    redirect(context, '/admin');
    return;
  }
  if (!isGoodPassword(password)) {
    await showPeople(context, 'passwordShort');
    return;
  }
  crm.replica.put('user', account, login, { ...person, passwordHash: await hashPassword(password) });
  endVisits(context, login, context.visitId);
  await crm.peers.settled();
  redirect(context, '/admin?done=password');
}

function isGoodPassword(password: string): boolean {
  return password.length >= PASSWORD_LENGTH.least && password.length <= PASSWORD_LENGTH.most;
}

function personRow(context: UserContext, person: UserRecord): Markup {
  const query = new URLSearchParams({ login: person.login });
  return html`<li>
    ${avatar(person.name)}
    <span
      ><b>${person.name}</b
      ><small class="muted"
        >${person.login} · ${say(context, person.isAdmin ? 'roleAdmin' : 'roleUser')}</small
      ></span
    >
    <form method="post" action="/admin/password?${query.toString()}" class="inline">
      ${tokenField(context)}
      <input
        type="password"
        name="new_password"
        placeholder="${say(context, 'newPassword')}"
        aria-label="${say(context, 'newPassword')}"
        autocomplete="new-password"
      />
      <button>${say(context, 'setPassword')}</button>
    </form>
  </li>`;
}
