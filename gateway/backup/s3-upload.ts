import { createHash } from 'node:crypto';

import { GatewayError } from '../core/gateway-error.ts';
import type { PutOptions, WrittenObject } from './backup-target.ts';
import type { S3Client } from './s3-client.ts';
import { parseXml, textOf } from './s3-xml.ts';

/** One object on its way. */
export interface S3Upload {
  readonly client: S3Client;
  readonly key: string;
  /** For messages. */
  readonly name: string;
  readonly body: AsyncIterable<Uint8Array>;
  readonly options: PutOptions;
}

/** What the service has taken; not read back yet. */
export interface S3Uploaded extends WrittenObject {
  /** The name was taken already, perhaps by an attempt of this upload whose answer got lost. */
  readonly isDoubtful: boolean;
}

/** Every service takes parts of this size, all alike but the last, and 10,000 of them. Two are in memory. */
const PART_BYTES = 12 * 1024 * 1024;
const PARTS_LIMIT = 10_000;
const GIVE_UP_MS = 10_000;
const PERMISSION = 's3:PutObject';

/** The name is taken by an object that was there before. */
export class NameTaken extends Error {}

/**
 * Uploads a stream: at once when it is no longer than a part, in parts otherwise, the next one read while one is on
 * its way. Hashes of every part go along and the service compares them. What fails is given up there too.
 *
 * @throws NameTaken, or GatewayError `backup_failed`, or the error of the body.
 */
export async function upload(from: S3Upload): Promise<S3Uploaded> {
  const { body, options } = from;
  const sum = createHash('sha256');
  const parts = cutParts(body, sum, options.signal);
  const { value: first, done } = await parts.next();
  if (done === true || first === undefined)
    throw new GatewayError('backup_failed', `nothing came to ${from.name}`);
  if (first.isLast) {
    const isDoubtful = await putWhole(from, first.bytes);
    options.onBytes?.(first.bytes.length);
    return { bytes: first.bytes.length, sha256: sum.digest('hex'), isDoubtful };
  }
  const uploadId = await begin(from);
  try {
    const { tags, bytes } = await sendParts(from, uploadId, first, parts);
    const isDoubtful = await complete(from, uploadId, tags);
    return { bytes, sha256: sum.digest('hex'), isDoubtful };
  } catch (error) {
    await giveUp(from.client, from.key, uploadId).catch(() => undefined);
    throw error;
  } finally {
    await parts.return(undefined);
  }
}

interface Part {
  readonly bytes: Buffer;
  readonly isLast: boolean;
}

type NextPart = IteratorResult<Part, undefined>;

/** Two buffers take turns: a part is sent before the one after the next is read into its place. */
async function* cutParts(
  body: AsyncIterable<Uint8Array>,
  sum: ReturnType<typeof createHash>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Part, undefined> {
  // Memory that is not written to costs nothing, and most of what is uploaded is small.
  let filling: Buffer = Buffer.allocUnsafeSlow(PART_BYTES);
  let other: Buffer | undefined;
  let filled = 0;
  for await (const chunk of body) {
    signal?.throwIfAborted();
    sum.update(chunk);
    let rest: Uint8Array = chunk;
    while (rest.length > 0) {
      if (filled === PART_BYTES) {
        yield { bytes: filling, isLast: false };
        [filling, other, filled] = [other ?? Buffer.allocUnsafeSlow(PART_BYTES), filling, 0];
      }
      const piece = rest.subarray(0, PART_BYTES - filled);
      filling.set(piece, filled);
      filled += piece.length;
      rest = rest.subarray(piece.length);
    }
  }
  signal?.throwIfAborted();
  yield { bytes: filling.subarray(0, filled), isLast: true };
  return undefined;
}

function md5(bytes: Uint8Array): string {
  return createHash('md5').update(bytes).digest('base64');
}

async function putWhole({ client, key, name, options }: S3Upload, bytes: Buffer): Promise<boolean> {
  const { status, tries } = await client.call({
    method: 'PUT',
    key,
    headers: { 'if-none-match': '*', 'content-md5': md5(bytes), 'content-type': 'application/octet-stream' },
    body: bytes,
    what: `write ${name}`,
    permission: PERMISSION,
    expects: [412],
    signal: options.signal,
  });
  if (status === 412 && tries === 1) throw new NameTaken();
  return status === 412;
}

async function begin({ client, key, name, options }: S3Upload): Promise<string> {
  const { text } = await client.call({
    method: 'POST',
    key,
    query: { uploads: '' },
    headers: { 'content-type': 'application/octet-stream' },
    what: `begin ${name}`,
    permission: PERMISSION,
    signal: options.signal,
  });
  const uploadId = textOf(parseXml(text), 'UploadId');
  if (uploadId === '') throw new GatewayError('backup_failed', `${client.where} began ${name} without an id`);
  return uploadId;
}

async function sendParts(
  from: S3Upload,
  uploadId: string,
  first: Part,
  parts: AsyncGenerator<Part, undefined>,
): Promise<{ tags: string[]; bytes: number }> {
  const tags: string[] = [];
  let bytes = 0;
  let part: Part | undefined = first;
  while (part !== undefined) {
    if (tags.length === PARTS_LIMIT)
      throw new GatewayError(
        'backup_failed',
        `${from.name} is longer than the ${PARTS_LIMIT} parts of ${PART_BYTES} bytes that S3 takes: write it to a directory`,
      );
    const sending = sendPart(from, uploadId, tags.length + 1, part.bytes);
    const reading: Promise<NextPart> | undefined = part.isLast ? undefined : parts.next();
    // Both are waited for, so that nothing is still under way when one of them has failed.
    const [sent, read]: [PromiseSettledResult<string>, PromiseSettledResult<NextPart | undefined>] =
      await Promise.allSettled([sending, reading]);
    if (read.status === 'rejected') throw read.reason;
    if (sent.status === 'rejected') throw sent.reason;
    tags.push(sent.value);
    bytes += part.bytes.length;
    from.options.onBytes?.(bytes);
    part = read.value?.value;
  }
  return { tags, bytes };
}

async function sendPart(
  { client, key, name, options }: S3Upload,
  uploadId: string,
  number: number,
  bytes: Buffer,
): Promise<string> {
  const { headers } = await client.call({
    method: 'PUT',
    key,
    query: { partNumber: String(number), uploadId },
    headers: { 'content-md5': md5(bytes) },
    body: bytes,
    what: `write ${name}`,
    permission: PERMISSION,
    signal: options.signal,
  });
  const tag = headers.etag ?? '';
  if (!/^[\w".:+/=-]{1,200}$/.test(tag))
    throw new GatewayError('backup_failed', `${client.where} took a part of ${name} without a tag`);
  return tag;
}

async function complete(
  { client, key, name, options }: S3Upload,
  uploadId: string,
  tags: readonly string[],
): Promise<boolean> {
  const parts = tags.map(
    (tag, index) =>
      `<Part><PartNumber>${index + 1}</PartNumber><ETag>${tag.replaceAll('"', '&quot;')}</ETag></Part>`,
  );
  const { status, code, tries } = await client.call({
    method: 'POST',
    key,
    query: { uploadId },
    headers: { 'if-none-match': '*', 'content-type': 'application/xml' },
    body: Buffer.from(
      `<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${parts.join('')}</CompleteMultipartUpload>`,
    ),
    what: `complete ${name}`,
    permission: PERMISSION,
    expects: [412, 'NoSuchUpload'],
    signal: options.signal,
  });
  if (status <= 299) return false;
  if (tries > 1) return true;
  if (status === 412) throw new NameTaken();
  throw new GatewayError(
    'backup_failed',
    `cannot complete ${name} in ${client.where}: ${code}, somebody else gave the upload up`,
  );
}

/** Gives an upload up, so that its parts take no room. */
export async function giveUp(client: S3Client, key: string, uploadId: string): Promise<void> {
  await client.call({
    method: 'DELETE',
    key,
    query: { uploadId },
    what: 'give up an unfinished upload',
    permission: 's3:AbortMultipartUpload',
    expects: [404],
    // Nobody waits long for this: the sweep sees to what stays.
    signal: AbortSignal.timeout(GIVE_UP_MS),
  });
}
