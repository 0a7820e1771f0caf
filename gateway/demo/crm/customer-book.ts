import { randomInt } from 'node:crypto';
import type { Crm } from './crm-context.ts';
import { CrmProblem } from './crm-problem.ts';
import type { BookRecord } from './crm-record.ts';
import type { BookKind } from './record-field.ts';

/** Deleted records count too: their tombstones stay. */
const BOOK_LIMIT = 5000;

/** What a list asks for. */
export interface BookQuery {
  readonly text?: string;
  readonly stage?: string;
  readonly offset: number;
  readonly limit: number;
}

/** A piece of a list, and how many records there are in all. */
export interface BookPage {
  readonly total: number;
  readonly rows: readonly [string, BookRecord][];
}

/** Finds records, latest change first. Every word of the text must occur in some field. */
export function searchBook(crm: Crm, account: string, kind: BookKind, query: BookQuery): BookPage {
  const sought = (query.text ?? '').toLowerCase().split(/\s+/).filter(Boolean).slice(0, 10);
  const found = crm.replica.list(kind, account).filter(([, { fields }]) => {
    if (query.stage !== undefined && query.stage !== '' && fields['stage'] !== query.stage) return false;
    if (sought.length === 0) return true;
    const haystack = Object.values(fields).join('\n').toLowerCase();
    return sought.every((word) => haystack.includes(word));
  });
  found.sort(([leftId, left], [rightId, right]) =>
    left.updatedAtMs === right.updatedAtMs
      ? leftId.localeCompare(rightId)
      : right.updatedAtMs - left.updatedAtMs,
  );
  return { total: found.length, rows: found.slice(query.offset, query.offset + query.limit) };
}

/**
 * Writes a record, new when there is no id, and waits until every reachable node has it.
 *
 * @returns its id.
 * @throws CrmProblem 507 when the account holds too many.
 */
export async function saveRecord(
  crm: Crm,
  account: string,
  kind: BookKind,
  record: { id?: string; fields: BookRecord['fields']; login: string },
): Promise<string> {
  const present = record.id === undefined ? undefined : crm.replica.get(kind, account, record.id);
  if (present === undefined && crm.replica.size(kind, account) >= BOOK_LIMIT)
    throw new CrmProblem(507, 'the account holds too many records');
  const id = record.id ?? freshId(crm, account, kind);
  const atMs = crm.now();
  crm.replica.put(kind, account, id, {
    fields: record.fields,
    createdAtMs: present?.createdAtMs ?? atMs,
    updatedAtMs: atMs,
    updatedBy: record.login,
  });
  await crm.peers.settled();
  return id;
}

/** Deletes a record and the files on its card, and waits until every reachable node knows. */
export async function removeRecord(crm: Crm, account: string, kind: BookKind, id: string): Promise<void> {
  for (const [fileId, file] of crm.replica.list('file', account))
    if (file.owner === `${kind}/${id}`) crm.replica.put('file', account, fileId, null);
  crm.replica.put(kind, account, id, null);
  await crm.peers.settled();
}

/** Ten random digits: two nodes that are apart make different ones. */
function freshId(crm: Crm, account: string, kind: BookKind): string {
  for (;;) {
    const id = String(randomInt(1_000_000_000, 9_999_999_999));
    if (crm.replica.get(kind, account, id) === undefined) return id;
  }
}
