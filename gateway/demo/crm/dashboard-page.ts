import type { UserContext } from './crm-context.ts';
import { sendPage } from './crm-answer.ts';
import type { BookRecord } from './crm-record.ts';
import { searchBook } from './customer-book.ts';
import { html, type Markup } from './html.ts';
import { say, workPage } from './page-frame.ts';
import { stageMark } from './record-list-page.ts';
import { STAGES } from './record-field.ts';
import { formatMoment, formatMoney, wordOf, type Language } from './language.ts';

const RECENT = 8;
const ALL = 100_000;

/** GET /: figures, the pipeline and the latest leads. */
export async function showDashboard(context: UserContext): Promise<void> {
  const { crm, account, language } = context;
  const { rows } = searchBook(crm, account, 'lead', { offset: 0, limit: ALL });
  const leads = rows.map(([, lead]) => lead);
  const open = leads.filter((lead) => !isClosed(lead));
  const won = leads.filter((lead) => lead.fields['stage'] === 'won');
  const closed = leads.length - open.length;
  const conversion = closed === 0 ? 0 : Math.round((won.length / closed) * 100);
  const content = html`<h1>${say(context, 'dashboard')}</h1>
    <section class="figures">
      ${figure(say(context, 'openDeals'), String(open.length), '')}
      ${figure(say(context, 'inWork'), ...totals(language, open))}
      ${figure(say(context, 'wonDeals'), ...totals(language, won))}
      ${figure(say(context, 'conversion'), `${conversion} %`, '')}
    </section>
    <div class="columns">
      <section class="card">
        <h2>${say(context, 'pipeline')}</h2>
        ${funnel(language, leads)}
      </section>
      <section class="card">
        <h2>${say(context, 'recentLeads')}</h2>
        <ul class="recent">
          ${rows.slice(0, RECENT).map(
            ([id, { fields, updatedAtMs }]) =>
              html`<li>
                <a href="/leads/${id}"
                  ><b>${fields['title']}</b><span class="muted">${fields['company']}</span></a
                >
                <span class="right"
                  >${stageMark(language, String(fields['stage']))}<small class="muted"
                    >${formatMoment(language, updatedAtMs)}</small
                  ></span
                >
              </li>`,
          )}
        </ul>
      </section>
    </div>`;
  await sendPage(context, 200, workPage(context, say(context, 'dashboard'), 'dashboard', content));
}

function isClosed({ fields }: BookRecord): boolean {
  return fields['stage'] === 'won' || fields['stage'] === 'lost';
}

function figure(label: string, value: string, detail: string): Markup {
  return html`<div class="card figure">
    <span class="muted">${label}</span><b>${value}</b><small class="muted">${detail}</small>
  </div>`;
}

/** The largest sum of one currency, and the other currencies under it. */
function totals(language: Language, leads: readonly BookRecord[]): [string, string] {
  const sums = new Map<string, number>();
  for (const { fields } of leads) {
    const currency = String(fields['currency']);
    sums.set(currency, (sums.get(currency) ?? 0) + Number(fields['amount']));
  }
  const [first = formatMoney(language, 0, 'RUB'), ...rest] = [...sums]
    .toSorted(([, left], [, right]) => right - left)
    .map(([currency, sum]) => formatMoney(language, sum, currency));
  return [first, rest.length === 0 ? '' : `+ ${rest.join(' + ')}`];
}

function funnel(language: Language, leads: readonly BookRecord[]): Markup {
  const counts = STAGES.map((stage) => leads.filter(({ fields }) => fields['stage'] === stage).length);
  const most = Math.max(1, ...counts);
  return html`<div class="funnel">
    ${STAGES.map(
      (stage, at) =>
        html`<a href="/leads?stage=${stage}"
          ><span>${wordOf(language, `stage_${stage}`)}</span
          ><i class="bar ${stage}" style="--share:${Math.round(((counts[at] ?? 0) / most) * 100)}%"></i
          ><b>${counts[at]}</b></a
        >`,
    )}
  </div>`;
}
