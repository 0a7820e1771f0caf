import { Readable } from 'node:stream';
import { type ReadableStream as WebStream } from 'node:stream/web';

import { Decrypter } from 'age-encryption';

import { GatewayError } from '../core/gateway-error.ts';
import { boundHeader, checkHeader } from './age-header.ts';
import { noteFailure } from './note-failure.ts';

/**
 * Decrypts an age file as it arrives. What it gives is authenticated chunk by chunk; that it is whole is known at its
 * end only.
 *
 * @throws GatewayError `backup_invalid` when no identity opens it, or when it is not what was written.
 */
export async function* decryptStream(
  sealed: AsyncIterable<Uint8Array>,
  identities: readonly string[],
): AsyncGenerator<Uint8Array> {
  const source: { failure?: unknown } = {};
  const bounded = boundHeader(noteFailure(sealed, source));
  const stream = Readable.toWeb(Readable.from(bounded, { objectMode: false }));
  try {
    const plain = await decrypterFor(identities).decrypt(stream as ReadableStream<Uint8Array>);
    yield* plain as unknown as WebStream<Uint8Array>;
  } catch (error) {
    throw source.failure ?? invalid(error);
  }
}

/** Decrypts something small. @throws as {@link decryptStream}. */
export async function decryptBytes(sealed: Uint8Array, identities: readonly string[]): Promise<Uint8Array> {
  checkHeader(sealed);
  try {
    return await decrypterFor(identities).decrypt(sealed);
  } catch (error) {
    throw invalid(error);
  }
}

function decrypterFor(identities: readonly string[]): Decrypter {
  const decrypter = new Decrypter();
  for (const identity of identities) decrypter.addIdentity(identity);
  return decrypter;
}

function invalid(error: unknown): GatewayError {
  if (error instanceof GatewayError) return error;
  const says = error instanceof Error ? error.message : String(error);
  const isForeign = /no identity matched/i.test(says);
  return new GatewayError(
    'backup_invalid',
    isForeign
      ? 'it is encrypted to other recipients: none of the identities opens it'
      : `it does not decrypt: it was damaged, cut or changed (${says})`,
    { cause: error },
  );
}
