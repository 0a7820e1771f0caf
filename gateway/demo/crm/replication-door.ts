import { timingSafeEqual } from 'node:crypto';
import { pipeline } from 'node:stream/promises';
import { sendJson } from './crm-answer.ts';
import type { CrmContext } from './crm-context.ts';
import { readBody } from './crm-body.ts';
import { CrmProblem } from './crm-problem.ts';
import { isOperation } from './crm-record.ts';
import { REPLICATION_HEADER } from './peer-link.ts';

const BATCH_LIMIT_BYTES = 16 * 1024 * 1024;

/** @throws CrmProblem 404, as if nothing were here, for everyone who does not hold the nodes' shared secret. */
export function requirePeer({ crm, request }: CrmContext): void {
  const given = Buffer.from(String(request.headers[REPLICATION_HEADER] ?? ''));
  const secret = Buffer.from(crm.secret);
  if (given.length !== secret.length || !timingSafeEqual(given, secret))
    throw new CrmProblem(404, 'no such page');
}

/** POST /replication/operations: writes of a peer. */
export async function takeOperations(context: CrmContext): Promise<void> {
  const body = await readBody(context.request, BATCH_LIMIT_BYTES);
  let batch: unknown;
  try {
    batch = JSON.parse(body.toString());
  } catch {
    throw new CrmProblem(400, 'malformed operations');
  }
  if (!Array.isArray(batch) || !batch.every(isOperation)) throw new CrmProblem(400, 'malformed operations');
  const { replica, leadership } = context.crm;
  for (const operation of batch) replica.apply(operation);
  const { searchParams } = context.url;
  const number = (name: string) => Number(searchParams.get(name) ?? Number.NaN);
  const from = { region: searchParams.get('region') ?? '', epoch: number('epoch') };
  leadership.peerPushed(from, number('after'), number('through'));
  await sendJson(context, 200, { taken: batch.length });
}

/** GET /replication/changes?boot=&after=: this node's feed. */
export async function sendChanges(context: CrmContext): Promise<void> {
  const { crm, url } = context;
  const after = Number(url.searchParams.get('after') ?? 0);
  const changes = crm.replica.changesAfter(url.searchParams.get('boot') ?? '', after);
  await sendJson(context, 200, { ...changes, standing: crm.leadership.standing });
}

/** GET /replication/files/ID: the bytes of an upload. */
export async function sendShelvedFile({ crm, response }: CrmContext, id: string): Promise<void> {
  if (!(await crm.files.has(id))) throw new CrmProblem(404, 'no such file');
  response.writeHead(200, { 'Content-Type': 'application/octet-stream' });
  await pipeline(crm.files.read(id, 0, Infinity), response).catch(() => response.destroy());
}
