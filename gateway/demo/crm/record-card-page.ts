import type { UserContext } from './crm-context.ts';
import { sendPage } from './crm-answer.ts';
import { CrmProblem } from './crm-problem.ts';
import type { BookRecord } from './crm-record.ts';
import { html, raw, type Markup } from './html.ts';
import { say, workPage } from './page-frame.ts';
import { RECORD_FIELDS, STAGES, titleOf, type BookKind, type RecordField } from './record-field.ts';
import { formatMoment, formatMoney, formatSize, wordOf } from './language.ts';

/** The record that a path names. @throws CrmProblem 404 when this account has none. */
export function requireRecord({ crm, account }: UserContext, kind: BookKind, id: string): BookRecord {
  const record = crm.replica.get(kind, account, id);
  if (record === undefined) throw new CrmProblem(404, 'no such record');
  return record;
}

/** GET /leads/ID and GET /contacts/ID: the card with its files. */
export async function showCard(context: UserContext, kind: BookKind, id: string): Promise<void> {
  const record = requireRecord(context, kind, id);
  const title = titleOf(kind, record);
  const changed = `${say(context, 'updated')} ${formatMoment(context.language, record.updatedAtMs)}`;
  const content = html`<p class="crumbs">
      <a href="/${kind}s">‹ ${say(context, kind === 'lead' ? 'leads' : 'contacts')}</a>
    </p>
    <div class="heading">
      <h1>${title}</h1>
      <div class="buttons">
        <a class="button" href="/${kind}s/${id}/edit">${say(context, 'edit')}</a>
        <form method="post" action="/${kind}s/${id}/delete" data-confirm="${say(context, 'removeSure')}">
          ${tokenField(context)}<button class="danger">${say(context, 'remove')}</button>
        </form>
      </div>
    </div>
    ${kind === 'lead' && stepper(context, String(record.fields['stage']))}
    <div class="columns wide-left">
      <section class="card">
        <dl class="facts">${facts(context, kind, record)}</dl>
        <p class="muted small">${changed} ${say(context, 'changedBy')} ${record.updatedBy}</p>
      </section>
      ${filesCard(context, kind, id)}
    </div>`;
  await sendPage(context, 200, workPage(context, title, kind === 'lead' ? 'leads' : 'contacts', content));
}

/** The form for a new record or a change; refused fields are marked. */
export async function showForm(
  context: UserContext,
  kind: BookKind,
  id: string | undefined,
  values: Readonly<Record<string, string | number>>,
  refused: readonly string[] = [],
): Promise<void> {
  const newTitle = say(context, kind === 'lead' ? 'newLead' : 'newContact');
  const title = id === undefined ? newTitle : `${say(context, 'edit')}: ${say(context, kind)}`;
  const action = id === undefined ? `/${kind}s/new` : `/${kind}s/${id}`;
  const content = html`<p class="crumbs">
      <a href="${id === undefined ? `/${kind}s` : action}">‹ ${say(context, 'cancel')}</a>
    </p>
    <h1>${title}</h1>
    <form method="post" action="${action}" class="card fields">
      ${tokenField(context)}
      ${refused.length > 0 && html`<p class="alert" role="alert">${say(context, 'checkFields')}</p>`}
      ${RECORD_FIELDS[kind].map((field) => input(context, field, String(values[field.name] ?? ''), refused))}
      <div class="buttons"><button class="primary">${say(context, 'save')}</button></div>
    </form>`;
  await sendPage(context, 200, workPage(context, title, kind === 'lead' ? 'leads' : 'contacts', content));
}

/** The hidden field with the session's token; the first of every form, so that uploads are checked before bytes. */
export function tokenField({ visit }: UserContext): Markup {
  return html`<input type="hidden" name="csrf" value="${visit.csrf}" />`;
}

function stepper(context: UserContext, stage: string): Markup {
  const steps = STAGES.filter((step) => (stage === 'lost' ? step !== 'won' : step !== 'lost'));
  const reached = steps.findIndex((step) => step === stage);
  return html`<ol class="stepper ${stage}">
    ${steps.map(
      (step, at) =>
        html`<li class="${at <= reached ? 'done' : ''}">${wordOf(context.language, `stage_${step}`)}</li>`,
    )}
  </ol>`;
}

function facts(context: UserContext, kind: BookKind, { fields }: BookRecord): Markup[] {
  return RECORD_FIELDS[kind]
    .slice(1)
    .filter(({ name }) => name !== 'currency' && name !== 'stage' && fields[name] !== '')
    .map(({ name, input: type }) => {
      const value = fields[name] ?? '';
      return html`<div class="${type}">
        <dt>${wordOf(context.language, name)}</dt>
        <dd>${fact(context, name, value, String(fields['currency'] ?? ''))}</dd>
      </div>`;
    });
}

function fact(context: UserContext, name: string, value: string | number, currency: string): Markup | string {
  if (name === 'amount') return formatMoney(context.language, Number(value), currency);
  if (name === 'phone') return html`<a href="tel:${String(value).replaceAll(/[^\d+]/g, '')}">${value}</a>`;
  if (name === 'email') return html`<a href="mailto:${value}">${value}</a>`;
  return String(value);
}

function input(context: UserContext, field: RecordField, value: string, refused: readonly string[]): Markup {
  const isWrong = refused.includes(field.name);
  const required = raw(field.isRequired === true ? 'required' : '');
  const marks = html`name="${field.name}" ${required} ${raw(isWrong ? 'aria-invalid="true"' : '')}`;
  const label = wordOf(context.language, field.name);
  if (field.input === 'textarea')
    return html`<label class="full"
      >${label}<textarea ${marks} rows="4" maxlength="${field.maxLength}">${value}</textarea>
    </label>`;
  if (field.options === undefined)
    return html`<label
      >${label}<input type="${field.input}" ${marks} value="${value}" maxlength="${field.maxLength}"
    /></label>`;
  const options = field.options.map(
    (option) =>
      html`<option value="${option}" ${raw(option === value ? 'selected' : '')}>
        ${field.name === 'stage' ? wordOf(context.language, `stage_${option}`) : option}
      </option>`,
  );
  return html`<label
    >${label}<select ${marks}>
      ${options}
    </select></label
  >`;
}

function filesCard(context: UserContext, kind: BookKind, id: string): Markup {
  const { crm, account, language } = context;
  const files = crm.replica.list('file', account).filter(([, file]) => file.owner === `${kind}/${id}`);
  return html`<section class="card">
    <h2>${say(context, 'files')}</h2>
    ${files.length === 0 && html`<p class="muted">${say(context, 'noFiles')}</p>`}
    <ul class="files">
      ${files.map(
        ([fileId, file]) =>
          html`<li>
            <a href="/files/${fileId}"><b>${file.name}</b></a>
            <small class="muted">${formatSize(language, file.sizeBytes)} · ${file.uploadedBy}</small>
            <form method="post" action="/files/${fileId}/delete" data-confirm="${say(context, 'removeSure')}">
              ${tokenField(context)}<button class="link" aria-label="${say(context, 'remove')}">×</button>
            </form>
          </li>`,
      )}
    </ul>
    <form method="post" action="/${kind}s/${id}/files" enctype="multipart/form-data" class="upload">
      ${tokenField(context)}
      <input type="file" name="file" required aria-label="${say(context, 'chooseFile')}" />
      <button>${say(context, 'upload')}</button>
      <progress hidden max="100" value="0"></progress>
    </form>
  </section>`;
}
