import type { SessionSummary } from '../session/session.ts';
import { actForm, askForm } from './account-form.ts';
import type { AccountView } from './account-view.ts';
import { type DeviceName, nameDevice } from './device-name.ts';
import { type Markup, markup, type Piece, trusted } from './markup.ts';

const ICONS: Readonly<Record<DeviceName['kind'], Markup>> = {
  computer: icon('<rect x="3" y="4.5" width="18" height="12" rx="2"/><path d="M2 20h20"/>'),
  phone: icon('<rect x="7" y="2.5" width="10" height="19" rx="2.4"/><path d="M11 18.5h2"/>'),
  program: icon(
    '<rect x="3" y="4.5" width="18" height="15" rx="2"/><path d="m7 9.5 3 2.5-3 2.5M12.5 15H17"/>',
  ),
};

/** Draws the person's own sessions, the present one first. */
export function devicesCard(view: AccountView): Markup {
  const { words, sessions, currentId } = view;
  const sorted = sessions.toSorted(
    (one, other) =>
      Number(other.id === currentId) - Number(one.id === currentId) ||
      other.last_seen_at.localeCompare(one.last_seen_at),
  );
  const heads = [words.device, words.network, words.since, words.seen, words.rotations, words.actions];
  return markup`<section class="card" aria-labelledby="devices"><header><div><h2 id="devices">${words.devices}</h2><p>${words.devicesLead}</p></div>${sorted.length > 1 && endOthers(view)}</header>
    <table role="table"><thead role="rowgroup"><tr role="row">${heads.map((head) => markup`<th role="columnheader" scope="col">${head}</th>`)}</tr></thead><tbody role="rowgroup">
    ${sorted.map((session) => row(view, session))}</tbody></table>${sorted.length === 1 && markup`<p class="foot small">${words.onlyThis}</p>`}</section>
`;
}

/** A device in words: `Chrome on Windows`. */
function deviceInWords({ words }: Pick<AccountView, 'words'>, name: DeviceName): string {
  const browser = name.browser === '' ? words.program : name.browser;
  return name.system === undefined ? browser : `${browser} ${words.on} ${name.system}`;
}

function row(view: AccountView, session: SessionSummary): Markup {
  const { words, moments, currentId } = view;
  const isThis = session.id === currentId;
  const device = nameDevice(session.user_agent);
  const name = deviceInWords(view, device);
  return markup`<tr role="row"><td role="cell"><div class="name">${ICONS[device.kind]}<span>${name}${isThis && markup` <span class="badge this">${words.thisOne}</span>`}</span></div></td>
    <td role="cell" class="num" data-label="${words.network}">${session.network}</td>
    <td role="cell" data-label="${words.since}"><time datetime="${session.created_at}">${moments.ago(Date.parse(session.created_at))}</time></td>
    <td role="cell" data-label="${words.seen}"><time datetime="${session.last_seen_at}">${moments.ago(Date.parse(session.last_seen_at))}</time></td>
    <td role="cell" class="num" data-label="${words.rotations}">${session.generation}</td>
    <td role="cell" class="act"><div class="asks">${action(view, session.id, isThis, name)}</div></td></tr>
`;
}

function action({ words, token }: AccountView, id: string, isThis: boolean, name: string): Piece {
  if (isThis) return actForm({ token, action: 'sign-out', label: words.signOut }, '');
  const act = { token, id, action: 'end', label: words.endYes, about: `${words.end}: ${name}` } as const;
  return askForm(act, words.end, words.endAsk, true);
}

function endOthers({ words, token }: AccountView): Markup {
  const act = { token, action: 'end-others', label: words.endOthersYes } as const;
  return markup`<div class="asks">${askForm(act, words.endOthers, words.endOthersAsk, true)}</div>`;
}

function icon(paths: string): Markup {
  return trusted(
    `<svg viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">${paths}</svg>`,
  );
}
