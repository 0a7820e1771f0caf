import { devicesCard } from './account-devices.ts';
import { keysCard } from './account-keys.ts';
import { ACCOUNT_STYLE } from './account-style.ts';
import type { AccountView } from './account-view.ts';
import type { AccountNote } from './account-words.ts';
import { type Markup, markup, type Piece, trusted } from './markup.ts';

/** Where the page is, and where its forms go. */
export const ACCOUNT_URL = '/.zasov/account';
/** Notes of things that were not done. */
const REFUSALS: ReadonlySet<AccountNote> = new Set(['gone', 'shownBefore', 'tooMany', 'stale']);
const BOLT = trusted(
  '<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><rect x="2.5" y="9" width="13" height="6" rx="2"/><path d="M15.5 12h6M18.5 7v10M6.5 9V6.5h4V9"/></svg>',
);

/** Draws the page as HTML. Without script; questions before something is ended are disclosure elements. */
export function drawAccount(view: AccountView): string {
  const { language, words, account, subject } = view;
  const other = language === 'ru' ? 'en' : 'ru';
  const page = markup`<!doctype html><html lang="${language}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><meta name="robots" content="noindex"><title>${words.title} · Zasov</title><style>${trusted(ACCOUNT_STYLE)}</style></head><body>
    <header class="top"><div class="wrap"><span class="brand">${BOLT}Zasov</span><nav aria-label="${words.language}"><a href="/">${words.back}</a><a href="${ACCOUNT_URL}?lang=${other}" hreflang="${other}" lang="${other}">${words.otherLanguage}</a></nav></div></header>
    <main class="wrap"><div><h1>${words.title}</h1><p class="who">${words.who} <b>${subject}</b> · ${account}</p></div>
    ${noteLine(view)}${freshKey(view)}${alarmsCard(view)}${keysCard(view)}${devicesCard(view)}<p class="end">${view.moments.full(view.nowMs)}</p></main></body></html>`;
  return page.text;
}

function noteLine({ note, words }: AccountView): Piece {
  if (note === undefined) return false;
  const isBad = REFUSALS.has(note);
  return markup`<p class="${isBad ? 'note bad' : 'note'}" role="${isBad ? 'alert' : 'status'}">${words.notes[note]}</p>
`;
}

function freshKey({ fresh, words, moments }: AccountView): Piece {
  if (fresh === undefined) return false;
  return markup`<section class="card fresh" aria-labelledby="fresh"><h2 id="fresh">${words.newKey}</h2><p>${words.newKeyLead}</p><code tabindex="0" translate="no">${fresh.key}</code><p class="small">${words.endsOn} ${moments.day(Date.parse(fresh.expires_at))}</p></section>
`;
}

function alarmsCard({ alarms, words, moments }: AccountView): Piece {
  if (alarms.length === 0) return false;
  const rows = alarms.map(
    ({ kind, atMs, detail }): Markup =>
      markup`<li><span>${words.alarmKinds[kind]}</span><span class="small"><time datetime="${new Date(atMs).toISOString()}">${moments.full(atMs)}</time>${detail !== '' && markup` · ${detail}`}</span></li>`,
  );
  return markup`<section class="card alarms" aria-labelledby="alarms"><header><div><h2 id="alarms">${words.alarms}</h2><p>${words.alarmsLead}</p></div></header><ul>${rows}</ul></section>
`;
}
