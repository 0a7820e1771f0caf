import { timingSafeEqual } from 'node:crypto';
import type { CrmContext } from './crm-context.ts';
import { sendJson } from './crm-answer.ts';
import { readJson } from './crm-body.ts';
import type { BookRecord, UserRecord } from './crm-record.ts';
import { removeRecord, saveRecord, searchBook } from './customer-book.ts';
import { readFields, type BookKind } from './record-field.ts';

const JSON_LIMIT_BYTES = 256 * 1024;
const PAGE_LIMIT = 250;

/** A request with a valid key. */
export interface KeyContext extends CrmContext {
  readonly user: UserRecord;
}

/** The person whose permanent key the request carries in `X-Crm-Key`. */
export function findKeyUser(context: CrmContext): UserRecord | undefined {
  const given = Buffer.from(String(context.request.headers['x-crm-key'] ?? ''));
  for (const [, user] of context.crm.replica.list('user', context.account)) {
    const key = Buffer.from(user.apiKey);
    if (key.length === given.length && timingSafeEqual(key, given)) return user;
  }
  return undefined;
}

/** GET /api/v4/leads?limit=&offset=&q=. */
export async function apiList(context: KeyContext, kind: BookKind): Promise<void> {
  const { crm, account, url } = context;
  const number = (name: string, preset: number): number => {
    const value = Math.trunc(Number(url.searchParams.get(name) ?? preset));
    return Number.isFinite(value) && value >= 0 ? value : preset;
  };
  const limit = Math.min(number('limit', 50), PAGE_LIMIT);
  const offset = number('offset', 0);
  const text = url.searchParams.get('q') ?? '';
  const { total, rows } = searchBook(crm, account, kind, { text, limit, offset });
  const items = rows.map(([id, record]) => present(id, record));
  await sendJson(context, 200, { total, limit, offset, items });
}

/** GET /api/v4/leads/ID. */
export async function apiRead(context: KeyContext, kind: BookKind, id: string): Promise<void> {
  const record = context.crm.replica.get(kind, context.account, id);
  if (record === undefined) await sendJson(context, 404, { error: 'no such record' });
  else await sendJson(context, 200, present(id, record));
}

/** POST /api/v4/leads and PATCH /api/v4/leads/ID; 422 names the fields that were refused. */
export async function apiSave(context: KeyContext, kind: BookKind, id?: string): Promise<void> {
  const { crm, account, user } = context;
  const before = id === undefined ? undefined : crm.replica.get(kind, account, id);
  if (id !== undefined && before === undefined) {
    await sendJson(context, 404, { error: 'no such record' });
    return;
  }
  const document = await readJson(context.request, JSON_LIMIT_BYTES);
  const { fields, refused } = readFields(kind, (name) => document[name], before?.fields);
  if (refused.length > 0) {
    await sendJson(context, 422, { error: 'some fields are not valid', fields: refused });
    return;
  }
  const target = id === undefined ? {} : { id };
  const savedId = await saveRecord(crm, account, kind, { fields, login: user.login, ...target });
  if (id === undefined) context.response.setHeader('Location', `/api/v4/${kind}s/${savedId}`);
  const saved = crm.replica.get(kind, account, savedId);
  await sendJson(context, id === undefined ? 201 : 200, saved === undefined ? null : present(savedId, saved));
}

/** DELETE /api/v4/leads/ID. */
export async function apiRemove(context: KeyContext, kind: BookKind, id: string): Promise<void> {
  const { crm, account, response } = context;
  if (crm.replica.get(kind, account, id) === undefined) {
    await sendJson(context, 404, { error: 'no such record' });
    return;
  }
  await removeRecord(crm, account, kind, id);
  response.writeHead(204).end();
}

function present(id: string, { fields, createdAtMs, updatedAtMs, updatedBy }: BookRecord): object {
  return {
    id,
    ...fields,
    created_at: new Date(createdAtMs).toISOString(),
    updated_at: new Date(updatedAtMs).toISOString(),
    updated_by: updatedBy,
  };
}
