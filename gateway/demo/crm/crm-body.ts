import type { IncomingMessage } from 'node:http';
import { CrmProblem } from './crm-problem.ts';
import { boundaryOf, readMultipart } from './form-parts.ts';

const FORM_LIMIT_BYTES = 64 * 1024;

/**
 * Reads a whole body.
 *
 * @throws CrmProblem 413 when it is larger than the limit; the rest is read and dropped, so that the client hears it.
 */
export async function readBody(request: IncomingMessage, limitBytes: number): Promise<Buffer> {
  return await collect(request.iterator({ destroyOnReturn: false }), limitBytes);
}

/** Reads a form of plain fields, urlencoded or multipart; uploaded files in it are passed over. */
export async function readForm(request: IncomingMessage): Promise<URLSearchParams> {
  const boundary = boundaryOf(request.headers['content-type']);
  if (boundary === undefined)
    return new URLSearchParams((await readBody(request, FORM_LIMIT_BYTES)).toString());
  const form = new URLSearchParams();
  let leftBytes = FORM_LIMIT_BYTES;
  for await (const part of readMultipart(request, boundary)) {
    const value = await collect(part.bytes, leftBytes);
    leftBytes -= value.length;
    if (part.fileName === undefined) form.append(part.name, value.toString());
  }
  return form;
}

/**
 * Reads a JSON object.
 *
 * @throws CrmProblem 400 when it is none, 413 when it is too large.
 */
export async function readJson(
  request: IncomingMessage,
  limitBytes: number,
): Promise<Record<string, unknown>> {
  const body = await readBody(request, limitBytes);
  try {
    const document: unknown = JSON.parse(body.toString());
    if (typeof document === 'object' && document !== null && !Array.isArray(document))
      return document as Record<string, unknown>;
  } catch {
    // Falls through to the one answer for everything that is no JSON object.
  }
  throw new CrmProblem(400, 'a JSON object is expected');
}

async function collect(source: AsyncIterable<unknown>, limitBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of source) {
    if (!Buffer.isBuffer(chunk)) continue;
    bytes += chunk.length;
    if (bytes > limitBytes) throw new CrmProblem(413, 'the body is too large');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
