import type { KeySummary } from '../api-key/api-key.ts';
import { clientNetwork } from '../core/network.ts';
import { actForm, askForm } from './account-form.ts';
import type { AccountView } from './account-view.ts';
import { type Markup, markup, type Piece, trusted } from './markup.ts';

const FORMER_LIMIT = 20;
/** How long a key has no age worth telling, in ms. */
const NEW_MS = 60_000;
/** The longest name that a person may give a key. */
export const LABEL_LENGTH = 60;
const KEY = trusted(
  '<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><circle cx="8" cy="15" r="4.5"/><path d="m11.3 11.7 8.2-8.2M16 7l3 3"/></svg>',
);

/** Whether a key opens doors, or will when its hold is taken off. */
export function isCurrent({ state }: Pick<KeySummary, 'state'>): boolean {
  return state === 'active' || state === 'expiring' || state === 'held';
}

/** Draws the person's own keys: those that work or are on hold as a table, the others folded away. */
export function keysCard(view: AccountView): Markup {
  const { words, keys } = view;
  const current = keys.filter(isCurrent);
  const former = keys.filter((key) => !isCurrent(key)).slice(0, FORMER_LIMIT);
  return markup`<section class="card" aria-labelledby="keys"><header><div><h2 id="keys">${words.keys}</h2><p>${words.keysLead}</p></div></header>
    ${current.length === 0 ? empty(view) : table(view, current)}${view.mayCreate && markup`<div class="foot">${creation(view)}</div>`}${former.length > 0 && markup`<details class="foot"><summary>${words.formerKeys} (${former.length})</summary><ul>${former.map((key) => formerRow(view, key))}</ul></details>`}</section>
`;
}

function empty({ words, mayCreate }: AccountView): Markup {
  return markup`<div class="empty">${KEY}<b>${words.noKeys}</b><p>${mayCreate ? words.noKeysCreate : words.noKeysLead}</p></div>`;
}

function creation({ words, token }: AccountView): Markup {
  return markup`<form class="create" method="post" action="/.zasov/account"><input type="hidden" name="token" value="${token}"><input type="hidden" name="action" value="create"><label>${words.createLabel}<input type="text" name="label" maxlength="${LABEL_LENGTH}" placeholder="${words.createHint}" autocomplete="off" required></label><button class="primary">${words.create}</button></form>`;
}

function table(view: AccountView, keys: readonly KeySummary[]): Markup {
  const { words } = view;
  const heads = [words.key, words.state, words.age, words.left, words.used, words.actions];
  return markup`<table role="table"><thead role="rowgroup"><tr role="row">${heads.map((head) => markup`<th role="columnheader" scope="col">${head}</th>`)}</tr></thead><tbody role="rowgroup">
    ${keys.map((key) => row(view, key))}</tbody></table>`;
}

function row(view: AccountView, key: KeySummary): Markup {
  const { words, moments, nowMs } = view;
  const createdMs = Date.parse(key.created_at);
  const endsMs = Date.parse(key.expires_at);
  const name = nameOf(view, key);
  return markup`<tr role="row"><td role="cell"><div class="name">${KEY}<span>${name}<span class="small"><code translate="no">${key.id}</code></span></span></div></td>
    <td role="cell" data-label="${words.state}"><span><span class="badge ${key.state}">${words.states[key.state]}</span></span></td>
    <td role="cell" class="num" data-label="${words.age}"><time datetime="${key.created_at}">${nowMs - createdMs < NEW_MS ? words.brandNew : moments.span(nowMs - createdMs)}</time></td>
    <td role="cell" class="num" data-label="${words.left}"><span><time datetime="${key.expires_at}">${moments.span(endsMs - nowMs)}</time><progress class="${key.state === 'expiring' ? 'low' : ''}" max="${endsMs - createdMs}" value="${Math.max(0, endsMs - nowMs)}" aria-hidden="true"></progress></span></td>
    <td role="cell" data-label="${words.used}">${lastUse(view, key)}</td>
    <td role="cell" class="act"><div class="asks">${actions(view, key, name)}</div></td></tr>
    ${key.waiting && waiting(view, key)}`;
}

function lastUse({ words, moments }: AccountView, key: KeySummary): Markup {
  if (key.last_used_at === null) return markup`<span class="small">${words.never}</span>`;
  const from = key.last_used_from === null ? '' : `${words.from} ${clientNetwork(key.last_used_from)}`;
  return markup`<time datetime="${key.last_used_at}">${moments.ago(Date.parse(key.last_used_at))}<small>${from}</small></time>`;
}

function actions({ words, token }: AccountView, key: KeySummary, name: string): Piece {
  const { id } = key;
  const rotate = { token, id, action: 'rotate', label: words.rotateYes } as const;
  const revoke = { token, id, action: 'revoke', label: words.revokeYes } as const;
  return [
    !key.waiting &&
      key.state !== 'held' &&
      askForm({ ...rotate, about: `${words.rotate}: ${name}` }, words.rotate, words.rotateAsk, false),
    askForm({ ...revoke, about: `${words.revoke}: ${name}` }, words.revoke, words.revokeAsk, true),
  ];
}

function waiting({ words, token }: AccountView, { id }: KeySummary): Markup {
  const form = actForm({ token, id, action: 'reveal', label: words.reveal }, 'primary');
  return markup`<tr role="row" class="waiting"><td role="cell" colspan="6"><div class="banner"><p><b>${words.waits}</b>${words.waitsLead}</p>${form}</div></td></tr>
`;
}

function formerRow(view: AccountView, key: KeySummary): Markup {
  const { words, moments } = view;
  return markup`<li><span>${nameOf(view, key)}</span><span class="badge ${key.state}">${words.states[key.state]}</span><span class="small"><code translate="no">${key.id}</code></span><span class="small">${moments.day(Date.parse(key.created_at))}</span></li>`;
}

function nameOf({ words }: AccountView, { label }: KeySummary): string {
  return label === '' ? words.unnamed : label;
}
