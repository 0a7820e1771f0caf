import type { UserContext } from './crm-context.ts';
import { sendPage } from './crm-answer.ts';
import { searchBook, type BookPage } from './customer-book.ts';
import { html, raw, type Markup } from './html.ts';
import { avatar, say, workPage } from './page-frame.ts';
import { STAGES, titleOf, type BookKind } from './record-field.ts';
import { formatMoment, formatMoney, wordOf, type Language } from './language.ts';

const PAGE_ROWS = 15;

/** GET /leads and GET /contacts: search, filter, pages. */
export async function showList(context: UserContext, kind: BookKind): Promise<void> {
  const { crm, account, url } = context;
  const text = url.searchParams.get('q') ?? '';
  const stage = url.searchParams.get('stage') ?? '';
  const page = Math.max(1, Math.trunc(Number(url.searchParams.get('page'))) || 1);
  const found = searchBook(crm, account, kind, {
    text,
    stage,
    offset: (page - 1) * PAGE_ROWS,
    limit: PAGE_ROWS,
  });
  const heading = say(context, kind === 'lead' ? 'leads' : 'contacts');
  const content = html`<div class="heading">
      <h1>${heading}</h1>
      <a class="button primary" href="/${kind}s/new"
        >+ ${say(context, kind === 'lead' ? 'newLead' : 'newContact')}</a
      >
    </div>
    <form class="search card" action="/${kind}s">
      <input
        type="search"
        name="q"
        value="${text}"
        placeholder="${say(context, 'searchIn')}"
        aria-label="${say(context, 'searchIn')}"
      />
      ${kind === 'lead' && stageFilter(context, stage)}
      <button>${say(context, 'search')}</button>
      <span class="muted">${say(context, 'found')}: ${found.total}</span>
    </form>
    ${found.rows.length === 0 ? html`<p class="card empty">${say(context, 'nothingFound')}</p>` : table(context, kind, found)}
    ${pager(context, found.total, page)}`;
  await sendPage(context, 200, workPage(context, heading, kind === 'lead' ? 'leads' : 'contacts', content));
}

/** A coloured mark with the name of a stage. */
export function stageMark(language: Language, stage: string): Markup {
  return html`<span class="mark ${stage}">${wordOf(language, `stage_${stage}`)}</span>`;
}

function stageFilter(context: UserContext, chosen: string): Markup {
  const option = (value: string, label: string): Markup =>
    html`<option value="${value}" ${raw(value === chosen ? 'selected' : '')}>${label}</option>`;
  return html`<select name="stage" aria-label="${say(context, 'stage')}">
    ${option('', say(context, 'allStages'))}
    ${STAGES.map((stage) => option(stage, wordOf(context.language, `stage_${stage}`)))}
  </select>`;
}

function table(context: UserContext, kind: BookKind, { rows }: BookPage): Markup {
  const columns =
    kind === 'lead'
      ? (['title', 'company', 'stage', 'amount', 'updated'] as const)
      : (['name', 'company', 'phone', 'email', 'updated'] as const);
  return html`<div class="card table">
    <table>
      <thead>
        <tr>
          ${columns.map((column) => html`<th class="${column}">${say(context, column)}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          ([id, record]) =>
            html`<tr>
              ${columns.map((column) => html`<td class="${column}">${cell(context, kind, id, record, column)}</td>`)}
            </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

function cell(
  { language }: UserContext,
  kind: BookKind,
  id: string,
  record: BookPage['rows'][number][1],
  column: string,
): Markup | string {
  const { fields } = record;
  const title = titleOf(kind, record);
  switch (column) {
    case 'title':
      return html`<a href="/leads/${id}"><b>${title}</b><small class="muted">${fields['person']}</small></a>`;
    case 'name':
      return html`<a class="with-avatar" href="/contacts/${id}"
        >${avatar(title)}<span><b>${title}</b><small class="muted">${fields['position']}</small></span></a
      >`;
    case 'stage':
      return stageMark(language, String(fields['stage']));
    case 'amount':
      return formatMoney(language, Number(fields['amount']), String(fields['currency']));
    case 'updated':
      return formatMoment(language, record.updatedAtMs);
    default:
      return String(fields[column] ?? '');
  }
}

function pager(context: UserContext, total: number, page: number): Markup | false {
  const pages = Math.ceil(total / PAGE_ROWS);
  if (pages <= 1) return false;
  const link = (to: number, label: string): Markup | false => {
    if (to < 1 || to > pages) return html`<span class="button off">${label}</span>`;
    const query = new URLSearchParams(context.url.searchParams);
    query.set('page', String(to));
    return html`<a class="button" href="?${query.toString()}">${label}</a>`;
  };
  return html`<nav class="pager">
    ${link(page - 1, `‹ ${say(context, 'previous')}`)}
    <span class="muted">${say(context, 'page')} ${page} ${say(context, 'of')} ${pages}</span>
    ${link(page + 1, `${say(context, 'next')} ›`)}
  </nav>`;
}
