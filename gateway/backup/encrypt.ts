import { Readable } from 'node:stream';
import { type ReadableStream as WebStream } from 'node:stream/web';

import { Encrypter } from 'age-encryption';

/**
 * Encrypts a stream to age recipients (X25519 and its post-quantum hybrid), in chunks of 64 KiB: the gateway has no key
 * that opens it.
 *
 * @throws Error for what is no recipient.
 */
export async function* encryptStream(
  plain: AsyncIterable<Uint8Array>,
  recipients: readonly string[],
): AsyncGenerator<Uint8Array> {
  const source = Readable.toWeb(Readable.from(plain, { objectMode: false })) as ReadableStream<Uint8Array>;
  yield* (await encrypterFor(recipients).encrypt(source)) as unknown as WebStream<Uint8Array>;
}

/** Encrypts something small. */
export async function encryptBytes(plain: Uint8Array, recipients: readonly string[]): Promise<Uint8Array> {
  return await encrypterFor(recipients).encrypt(plain);
}

function encrypterFor(recipients: readonly string[]): Encrypter {
  const encrypter = new Encrypter();
  for (const recipient of recipients) encrypter.addRecipient(recipient);
  return encrypter;
}
