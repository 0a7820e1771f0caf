import { createPrivateKey } from 'node:crypto';
import { basename } from 'node:path';

import { readIfPresent, replaceFile } from '../config/private-file.ts';
import { GatewayError } from '../core/gateway-error.ts';
import type { Keyring } from '../crypto/keyring.ts';
import { createSealedBox, sealedUnder } from '../crypto/sealed-box.ts';

/** Files with the private keys that the gateway made itself. */
export interface KeyFiles {
  /**
   * Reads a key. One that lies there in plain text, as earlier versions left it, or under a former master key, is
   * replaced by a sealed one.
   *
   * @returns its PEM, or `undefined` when there is no such file.
   * @throws GatewayError `internal` when it is sealed under another master key, or is no key.
   */
  read(file: string): Promise<string | undefined>;
  /** Writes a key, whole, with mode 0600. @throws the system's error. */
  write(file: string, keyPem: string): Promise<void>;
}

const BEGIN = '-----BEGIN ZASOV SEALED KEY-----';
const END = '-----END ZASOV SEALED KEY-----';
const LINE = /.{1,64}/g;

/**
 * Makes the files of keys that are sealed under the master key, so that a stolen disk holds none:
 *
 *   BEGIN line · base64 of the sealed box over the PEM, labelled with the name of the file · END line
 */
export function sealedKeyFiles(keyring: Keyring): KeyFiles {
  const box = createSealedBox(keyring, 'key-file');
  const write = async (file: string, keyPem: string) => {
    const text = box.seal(Buffer.from(keyPem), basename(file)).toString('base64');
    await replaceFile(file, [BEGIN, ...(text.match(LINE) ?? []), END, ''].join('\n'), 0o600);
  };
  return {
    write,
    async read(file) {
      const text = await readIfPresent(file);
      if (text === undefined) return undefined;
      if (!text.startsWith(BEGIN)) {
        const plain = plainKey(file, text);
        await write(file, plain);
        return plain;
      }
      const sealed = Buffer.from(text.slice(BEGIN.length, text.indexOf(END)), 'base64');
      const keyPem = box.open(sealed, basename(file))?.toString();
      if (keyPem === undefined)
        throw new GatewayError(
          'internal',
          `${file} was changed, or is sealed under a master key that is not here`,
        );
      if (sealedUnder(sealed) !== keyring.currentKid) await write(file, keyPem);
      return keyPem;
    },
  };
}

function plainKey(file: string, text: string): string {
  try {
    createPrivateKey(text);
    return text;
  } catch (error) {
    throw new GatewayError('internal', `${file} holds no private key`, { cause: error });
  }
}
