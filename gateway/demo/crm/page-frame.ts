import type { CrmContext, UserContext } from './crm-context.ts';
import { CRM_ACCOUNTS } from './demo-login.ts';
import { html, raw, type Markup } from './html.ts';
import { WORDS, type Word } from './language.ts';

/** Places of the navigation. */
export type Place = 'dashboard' | 'leads' | 'contacts' | 'profile' | 'admin';

const LINKS: readonly { place: Place; path: string; icon: string }[] = [
  { place: 'dashboard', path: '/', icon: 'M3 11l9-8 9 8v9a1 1 0 0 1-1 1h-5v-7h-6v7H4a1 1 0 0 1-1-1z' },
  { place: 'leads', path: '/leads', icon: 'M4 5h16M6.5 12h11M9.5 19h5' },
  {
    place: 'contacts',
    path: '/contacts',
    icon: 'M9 11a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM2 21c0-4 3-6 7-6s7 2 7 6M17 4a4 4 0 0 1 0 7M19 15c2 1 3 3 3 6',
  },
  {
    place: 'profile',
    path: '/profile',
    icon: 'M12 12a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9zM4 21c0-4 3.5-6 8-6s8 2 8 6',
  },
  { place: 'admin', path: '/admin', icon: 'M12 3l8 3v6c0 5-3.500 8-8 9-4.500-1-8-4-8-9V6z' },
];

/** The page of a person who is signed in, in three pieces, which leave as three chunks. */
export function workPage(context: UserContext, title: string, place: Place, content: Markup): Markup[] {
  const { user, account, language, crm } = context;
  const words = WORDS[language];
  const links = LINKS.filter((link) => link.place !== 'admin' || user.isAdmin).map(
    (link) =>
      html`<a href="${link.path}" ${raw(link.place === place ? 'aria-current="page"' : '')}
        >${icon(link.icon)}<span>${words[link.place]}</span></a
      >`,
  );
  const head = html`<body
    class="work"
    data-poll="/ajax/poll"
    data-live="/live/ws"
    data-session-over="${words.sessionOver}"
    data-created="${words.liveCreated}"
    data-updated="${words.liveChanged}"
    data-deleted="${words.liveDeleted}"
  >
    <nav class="side">
      <a class="brand" href="/">${logo()}<span>${words.product}</span></a>
      <div class="links">${links}</div>
      <p class="where">
        ${words.region} <b>${crm.region}</b> · ${crm.leadership.leads ? words.primary : words.replica}
      </p>
    </nav>
    <header class="top">
      <span class="tenant">${titleOfAccount(account)}</span>
      <span class="live-dot" id="live-dot" title="${words.live}"></span>
      <a class="quiet" href="${languageLink(context)}">${words.language}</a>
      <span class="who">${avatar(user.name)}<span>${user.name}</span></span>
      <a class="quiet" href="/logout">${words.signOut}</a>
    </header>
    <main>
   `;
  const tail = html`</main>
      <div id="toasts" role="status" aria-live="polite"></div>
    </body>
    </html>`;
  return [documentHead(context, title), html`${head}${content}`, tail];
}

/** A page outside of work: signing in, a refusal, a mistake. */
export function plainPage(context: CrmContext, title: string, content: Markup): Markup[] {
  const words = WORDS[context.language];
  const body = html`<body class="plain">
      <main class="card narrow">
        <div class="brand">${logo()}<span>${words.product}</span></div>
        ${content}
        <p class="foot"><a class="quiet" href="${languageLink(context)}">${words.language}</a></p>
      </main>
    </body>
    </html>`;
  return [documentHead(context, title), body];
}

/** The text shown for an account. */
export function titleOfAccount(account: string): string {
  return CRM_ACCOUNTS.find(({ id }) => id === account)?.title ?? account;
}

/** A round mark with a person's initials. */
export function avatar(name: string): Markup {
  const initials = name.split(' ', 2).map((word) => word.slice(0, 1));
  const hue = Array.from(name).reduce((sum, character) => sum + (character.codePointAt(0) ?? 0) * 7, 0) % 360;
  return html`<i class="avatar" style="--hue:${hue}" aria-hidden="true">${initials.join('')}</i>`;
}

/** A text of the visitor's language. */
export function say(context: Pick<CrmContext, 'language'>, word: Word): string {
  return WORDS[context.language][word];
}

function documentHead({ language }: CrmContext, title: string): Markup {
  return html`<!doctype html>
    <html lang="${language}">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>${title} · ${WORDS[language].product}</title>
        <link rel="icon" href="/static/favicon.svg" type="image/svg+xml" />
        <link rel="stylesheet" href="/static/app.css" />
        <script src="/static/app.js" defer></script>
      </head>
     `;
}

function languageLink({ language, url }: CrmContext): string {
  const back = encodeURIComponent(url.pathname + url.search);
  return `/language?to=${language === 'ru' ? 'en' : 'ru'}&back=${back}`;
}

function icon(path: string): Markup {
  return html`<svg viewBox="0 0 24 24" aria-hidden="true"><path d="${path}" /></svg>`;
}

function logo(): Markup {
  return html`<svg class="logo" viewBox="0 0 32 32" aria-hidden="true">
    <rect width="32" height="32" rx="9" />
    <path d="M8 21l6-8 5 5 5-8" />
  </svg>`;
}
