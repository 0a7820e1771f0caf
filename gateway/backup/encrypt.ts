import { Readable } from 'node:stream';
import { type ReadableStream as WebStream } from 'node:stream/web';

import type { Encrypter } from 'age-encryption';

import { MOST_RECIPIENTS } from '../config/backup-place.ts';
import { GatewayError } from '../core/gateway-error.ts';

/**
 * Encrypts a stream to age recipients (X25519 and its post-quantum hybrid), in chunks of 64 KiB: the gateway has no key
 * that opens it.
 *
 * @throws Error for what is no recipient; GatewayError `backup_failed` for more than 64 of them.
 */
export async function* encryptStream(
  plain: AsyncIterable<Uint8Array>,
  recipients: readonly string[],
): AsyncGenerator<Uint8Array> {
  const source = Readable.toWeb(Readable.from(plain, { objectMode: false })) as ReadableStream<Uint8Array>;
  yield* (await (await encrypterFor(recipients)).encrypt(source)) as unknown as WebStream<Uint8Array>;
}

/** Encrypts something small. */
export async function encryptBytes(plain: Uint8Array, recipients: readonly string[]): Promise<Uint8Array> {
  return await (await encrypterFor(recipients)).encrypt(plain);
}

async function encrypterFor(recipients: readonly string[]): Promise<Encrypter> {
  if (recipients.length > MOST_RECIPIENTS)
    throw new GatewayError(
      'backup_failed',
      `backup.recipients has ${recipients.length}, and ${MOST_RECIPIENTS} are possible`,
    );
  // Loaded here only: a gateway that makes no backups need not carry it in its memory.
  const age = await import('age-encryption');
  const encrypter = new age.Encrypter();
  for (const recipient of recipients) encrypter.addRecipient(recipient);
  return encrypter;
}
