import type { ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { readRange, type ByteRange } from './byte-range.ts';
import type { UserContext } from './crm-context.ts';
import { redirect } from './crm-answer.ts';
import { readForm } from './crm-body.ts';
import { CrmProblem } from './crm-problem.ts';
import type { FileRecord } from './crm-record.ts';
import type { ShelvedFile } from './file-shelf.ts';
import { boundaryOf, readMultipart, type Part } from './form-parts.ts';
import { requireRecord } from './record-card-page.ts';
import type { BookKind } from './record-field.ts';
import { requireToken } from './visit.ts';

/** Per account; tombstones of deleted files count too. */
const FILE_COUNT_LIMIT = 2000;
const TOKEN_LIMIT_BYTES = 256;

/**
 * POST …/ID/files: stores the files of a multipart form on the card, streaming to disk. The token has to come before
 * the first file, so that nothing is stored for a stranger.
 */
export async function submitUpload(context: UserContext, kind: BookKind, id: string): Promise<void> {
  const { crm, account, request } = context;
  requireRecord(context, kind, id);
  const boundary = boundaryOf(request.headers['content-type']);
  if (boundary === undefined) throw new CrmProblem(415, 'a multipart form is expected');
  let isTrusted = false;
  for await (const part of readMultipart(request, boundary)) {
    if (part.name === 'csrf' && part.fileName === undefined) {
      requireToken(context, await shortText(part));
      isTrusted = true;
    } else if (part.fileName !== undefined && part.fileName !== '') {
      if (!isTrusted) throw new CrmProblem(403, 'the form has expired');
      if (crm.replica.size('file', account) >= FILE_COUNT_LIMIT)
        throw new CrmProblem(507, 'the account holds too many files');
      const shelved = await crm.files.store(part.bytes);
      record(context, `${kind}/${id}`, part, shelved);
    }
  }
  await crm.peers.settled();
  redirect(context, `/${kind}s/${id}`);
}

/** GET /files/ID: with ranges, ETag and 304; never gzipped, always an attachment. */
export async function sendFile(context: UserContext, id: string): Promise<void> {
  const { crm, account, request, response } = context;
  const file = crm.replica.get('file', account, id);
  if (file === undefined) throw new CrmProblem(404, 'no such file');
  const etag = `"${file.sha256.slice(0, 32)}"`;
  response.setHeader('ETag', etag);
  response.setHeader('Accept-Ranges', 'bytes');
  response.setHeader('Last-Modified', new Date(file.createdAtMs).toUTCString());
  response.setHeader('Cache-Control', 'private, no-cache');
  if (isFresh(request.headers['if-none-match'], etag)) {
    response.writeHead(304).end();
    return;
  }
  await crm.files.fetchNow(id, crm.peers.reachable);
  if (!(await crm.files.has(id)))
    throw new CrmProblem(503, 'the file is still on its way from another region');
  const ifRange = request.headers['if-range'];
  const wanted = ifRange === undefined || ifRange === etag ? request.headers.range : undefined;
  const range = readRange(wanted, file.sizeBytes);
  if (range === 'unsatisfiable') {
    response.writeHead(416, { 'Content-Range': `bytes */${file.sizeBytes}` }).end();
    return;
  }
  writeFileHead(response, file, range);
  const { start, end } = range ?? { start: 0, end: file.sizeBytes - 1 };
  if (request.method === 'HEAD' || file.sizeBytes === 0) response.end();
  else await pipeline(crm.files.read(id, start, end), response).catch(() => response.destroy());
}

/** POST /files/ID/delete. */
export async function submitFileRemoval(context: UserContext, id: string): Promise<void> {
  const { crm, account, request } = context;
  const file = crm.replica.get('file', account, id);
  if (file === undefined) throw new CrmProblem(404, 'no such file');
  const form = await readForm(request);
  requireToken(context, form.get('csrf'));
  crm.replica.put('file', account, id, null);
  await crm.peers.settled();
  redirect(context, `/${file.owner.replace('/', 's/')}`);
}

function record({ crm, account, user }: UserContext, owner: string, part: Part, shelved: ShelvedFile): void {
  const { id, sizeBytes, sha256 } = shelved;
  crm.replica.put('file', account, id, {
    owner,
    // Browsers once sent whole paths; only the last step is a name.
    name: (part.fileName ?? '').split(/[\\/]/).at(-1)?.slice(0, 200) ?? '',
    contentType: part.contentType,
    sizeBytes,
    sha256,
    uploadedBy: user.login,
    createdAtMs: crm.now(),
  });
}

async function shortText(part: Part): Promise<string> {
  let text = '';
  for await (const chunk of part.bytes) {
    text += chunk.toString();
    if (text.length > TOKEN_LIMIT_BYTES) throw new CrmProblem(400, 'the token is too long');
  }
  return text;
}

function isFresh(header: string | undefined, etag: string): boolean {
  return (header ?? '').split(',').some((tag) => tag.trim().replace(/^W\//, '') === etag);
}

function writeFileHead(response: ServerResponse, file: FileRecord, range: ByteRange | undefined): void {
  const plainName = file.name.replaceAll(/[^\w. -]/g, '_');
  const encodedName = encodeURIComponent(file.name).replaceAll("'", '%27');
  response.setHeader(
    'Content-Type',
    /^[\w.+-]+\/[\w.+-]+$/.test(file.contentType) ? file.contentType : 'application/octet-stream',
  );
  response.setHeader('X-Content-Type-Options', 'nosniff');
  response.setHeader(
    'Content-Disposition',
    `attachment; filename="${plainName}"; filename*=UTF-8''${encodedName}`,
  );
  if (range === undefined) {
    response.writeHead(200, { 'Content-Length': file.sizeBytes });
    return;
  }
  response.writeHead(206, {
    'Content-Length': range.end - range.start + 1,
    'Content-Range': `bytes ${range.start}-${range.end}/${file.sizeBytes}`,
  });
}
