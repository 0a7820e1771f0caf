import { notThere } from './backup-target.ts';
import { RETRY_PAUSES_MS, type S3Call, type S3Client, mayPass, refusalCode } from './s3-client.ts';

/** One object to be read. */
export interface S3Reading {
  readonly client: S3Client;
  readonly key: string;
  /** Empty for the one that counts in a bucket without versions. */
  readonly versionId: string;
  /** For messages. */
  readonly name: string;
  readonly where: string;
  readonly signal: AbortSignal | undefined;
}

/**
 * Reads an object from its first byte to its last. A line that breaks is taken up again where it broke, at the same
 * object (by its tag), as long as something comes.
 *
 * @throws GatewayError `backup_failed`.
 */
export async function* readObject(reading: S3Reading): AsyncGenerator<Uint8Array> {
  const { client, name, where, signal } = reading;
  const at = { offset: 0, tag: '' };
  let failures = 0;
  for (;;) {
    const call = callAt(reading, at);
    const before = at.offset;
    try {
      yield* readFrom(client, call, at);
      return;
    } catch (error) {
      signal?.throwIfAborted();
      if (refusalCode(error) === 'NoSuchKey' || refusalCode(error) === 'NoSuchVersion')
        throw notThere(name, where);
      failures = at.offset > before ? 1 : failures + 1;
      if (RETRY_PAUSES_MS[failures - 1] === undefined || !mayPass(error)) throw client.failure(call, error);
    }
    await client.pause(RETRY_PAUSES_MS[failures - 1] ?? 0, signal);
  }
}

interface Position {
  offset: number;
  tag: string;
}

function callAt({ key, versionId, name, signal }: S3Reading, { offset, tag }: Position): S3Call {
  return {
    method: 'GET',
    key,
    query: versionId === '' ? {} : { versionId },
    headers: offset === 0 ? {} : { range: `bytes=${offset}-`, ...(tag === '' ? {} : { 'if-match': tag }) },
    what: `read ${name}`,
    permission: versionId === '' ? 's3:GetObject' : 's3:GetObjectVersion',
    signal,
  };
}

async function* readFrom(client: S3Client, call: S3Call, at: Position): AsyncGenerator<Uint8Array> {
  const { statusCode, headers, body } = await client.open(call);
  // A service that does not know ranges begins from the first byte: what was handed on already is passed over.
  let passOver = statusCode === 206 ? 0 : at.offset;
  const tag = headers.etag;
  if (typeof tag === 'string') at.tag = tag;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    const fresh = chunk.subarray(Math.min(passOver, chunk.length));
    passOver -= chunk.length - fresh.length;
    at.offset += fresh.length;
    if (fresh.length > 0) yield fresh;
  }
}
