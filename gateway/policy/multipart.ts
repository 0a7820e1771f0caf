import { parseHeaderParameters } from './header-parameters.ts';

const MOST_PARTS = 1000;
const FILE = 'file';
const BOUNDARY = /^[A-Za-z0-9'()+_,\-./:=? ]{0,69}[A-Za-z0-9'()+_,\-./:=?]$/;

/**
 * Reads the text fields of a `multipart/form-data` body (RFC 7578); files are passed over.
 *
 * @returns pairs in order, or `undefined` when anything is malformed: a body that two parsers read differently must
 *   not name a person.
 */
export function parseMultipart(body: Buffer, boundary: string): [name: string, value: Buffer][] | undefined {
  if (!BOUNDARY.test(boundary)) return undefined;
  const fields: [string, Buffer][] = [];
  const parts = splitParts(body, boundary);
  for (const part of parts ?? []) {
    const field = readPart(part);
    if (field === undefined) return undefined;
    if (field !== FILE) fields.push(field);
  }
  return parts === undefined ? undefined : fields;
}

function splitParts(body: Buffer, boundary: string): Buffer[] | undefined {
  const delimiter = Buffer.from(`\r\n--${boundary}`, 'latin1');
  const opening = delimiter.subarray(2);
  if (!body.subarray(0, opening.length).equals(opening)) return undefined;
  const parts: Buffer[] = [];
  let position = opening.length;
  while (parts.length <= MOST_PARTS) {
    if (body.toString('latin1', position, position + 2) === '--')
      return countOf(body, opening) === parts.length + 1 ? parts : undefined;
    if (body.toString('latin1', position, position + 2) !== '\r\n') return undefined;
    // The line break after a delimiter may also be the one before the next: a part without headers or content.
    const end = body.indexOf(delimiter, position);
    if (end === -1) return undefined;
    parts.push(body.subarray(position + 2, Math.max(end, position + 2)));
    position = end + delimiter.length;
  }
  return undefined;
}

/** PHP also ends a part at a delimiter after a bare line feed, so a stray one hides a field from us. */
function countOf(body: Buffer, text: Buffer): number {
  let count = 0;
  for (let at = body.indexOf(text); at !== -1; at = body.indexOf(text, at + text.length)) count++;
  return count;
}

const ENCODINGS_AS_THEY_ARE = new Set(['7bit', '8bit', 'binary']);

function readPart(part: Buffer): [string, Buffer] | typeof FILE | undefined {
  const blank = part.indexOf('\r\n\r\n');
  const headers = blank === -1 ? undefined : readHeaders(part.toString('utf8', 0, blank));
  const encoding = headers?.get('content-transfer-encoding')?.trim().toLowerCase() ?? 'binary';
  if (headers === undefined || !ENCODINGS_AS_THEY_ARE.has(encoding)) return undefined;
  const name = readName(headers.get('content-disposition') ?? '');
  return name === undefined || name === FILE ? name : [fieldName(name.text), part.subarray(blank + 4)];
}

function readName(disposition: string): { text: string } | typeof FILE | undefined {
  const read = parseHeaderParameters(disposition);
  const name = read?.parameters.get('name');
  if (read?.value !== 'form-data' || name === undefined) return undefined;
  // These are names in a second spelling, which upstreams know or do not know.
  if (read.parameters.has('name*') || read.parameters.has('filename*')) return undefined;
  return read.parameters.has('filename') ? FILE : { text: name };
}

function readHeaders(text: string): Map<string, string> | undefined {
  const headers = new Map<string, string>();
  for (const line of text.split('\r\n')) {
    const match = /^([a-z-]+):((?:\P{Cc}|\t)*)$/iu.exec(line);
    const name = match?.[1]?.toLowerCase();
    if (name === undefined || headers.has(name)) return undefined;
    headers.set(name, match?.[2] ?? '');
  }
  return headers;
}

/** Browsers escape three characters in names (HTML, "multipart/form-data encoding algorithm"). */
function fieldName(name: string): string {
  return name.replaceAll(/%(22|0D|0A)/gi, (_, code: string) =>
    String.fromCharCode(Number.parseInt(code, 16)),
  );
}
