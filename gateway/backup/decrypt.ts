import { Readable } from 'node:stream';
import { type ReadableStream as WebStream } from 'node:stream/web';

import { armor, Decrypter } from 'age-encryption';

import { GatewayError } from '../core/gateway-error.ts';

const IDENTITY = /^AGE-SECRET-KEY-(?:PQ-)?1[0-9A-Z]+$/;
const ARMOR = '-----BEGIN AGE ENCRYPTED FILE-----';
const AGE_HEAD = 'age-encryption.org/v1';

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
  const failed: { source?: unknown } = {};
  const source = Readable.toWeb(Readable.from(noteFailure(sealed, failed), { objectMode: false }));
  try {
    const plain = await decrypterFor(identities).decrypt(source as ReadableStream<Uint8Array>);
    yield* plain as unknown as WebStream<Uint8Array>;
  } catch (error) {
    throw failed.source ?? invalid(error);
  }
}

/** Decrypts something small. @throws as {@link decryptStream}. */
export async function decryptBytes(sealed: Uint8Array, identities: readonly string[]): Promise<Uint8Array> {
  try {
    return await decrypterFor(identities).decrypt(sealed);
  } catch (error) {
    throw invalid(error);
  }
}

/**
 * Reads the identities of a file: one a line, comments passed over. A file that is itself encrypted with a passphrase
 * is opened with what `ask` answers.
 *
 * @throws GatewayError `backup_invalid` when the passphrase is wrong.
 */
export async function parseIdentities(text: string, ask: () => Promise<string>): Promise<string[]> {
  const isArmored = text.trimStart().startsWith(ARMOR);
  if (isArmored || text.startsWith(AGE_HEAD)) {
    const decrypter = new Decrypter();
    decrypter.addPassphrase(await ask());
    const sealed = isArmored ? armor.decode(text) : Buffer.from(text, 'latin1');
    const plain = await decrypter.decrypt(sealed, 'text').catch((error: unknown) => {
      throw new GatewayError('backup_invalid', 'the passphrase does not open the identity file', {
        cause: error,
      });
    });
    return linesOf(plain);
  }
  return linesOf(text);
}

function linesOf(text: string): string[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => IDENTITY.test(line));
}

function decrypterFor(identities: readonly string[]): Decrypter {
  const decrypter = new Decrypter();
  for (const identity of identities) decrypter.addIdentity(identity);
  return decrypter;
}

async function* noteFailure(
  source: AsyncIterable<Uint8Array>,
  failed: { source?: unknown },
): AsyncGenerator<Uint8Array> {
  try {
    yield* source;
  } catch (error) {
    failed.source = error;
    throw error;
  }
}

function invalid(error: unknown): GatewayError {
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
