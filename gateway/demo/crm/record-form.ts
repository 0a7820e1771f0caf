import type { UserContext } from './crm-context.ts';
import { redirect } from './crm-answer.ts';
import { readForm } from './crm-body.ts';
import { removeRecord, saveRecord } from './customer-book.ts';
import { requireRecord, showForm } from './record-card-page.ts';
import { readFields, type BookKind } from './record-field.ts';
import { requireToken } from './visit.ts';

/** GET …/ID/edit. */
export async function openEdit(context: UserContext, kind: BookKind, id: string): Promise<void> {
  await showForm(context, kind, id, requireRecord(context, kind, id).fields);
}

/** POST …/new and POST …/ID: 302 to the card, or 200 with the form and its mistakes marked. */
export async function submitRecord(
  context: UserContext,
  kind: BookKind,
  id: string | undefined,
): Promise<void> {
  const present = id === undefined ? undefined : requireRecord(context, kind, id);
  const form = await readForm(context.request);
  requireToken(context, form.get('csrf'));
  const { fields, refused } = readFields(kind, (name) => form.get(name) ?? undefined, present?.fields);
  if (refused.length > 0) {
    await showForm(context, kind, id, textsOf(form), refused);
    return;
  }
  const record = { fields, login: context.user.login, ...(id === undefined ? {} : { id }) };
  const savedId = await saveRecord(context.crm, context.account, kind, record);
  redirect(context, `/${kind}s/${savedId}`);
}

/** POST …/ID/delete. */
export async function submitRemoval(context: UserContext, kind: BookKind, id: string): Promise<void> {
  requireRecord(context, kind, id);
  const form = await readForm(context.request);
  requireToken(context, form.get('csrf'));
  await removeRecord(context.crm, context.account, kind, id);
  redirect(context, `/${kind}s`);
}

/** What was typed, to fill the form again. */
function textsOf(form: URLSearchParams): Record<string, string> {
  return Object.fromEntries(form);
}
