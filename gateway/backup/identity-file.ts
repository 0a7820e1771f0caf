import { armor, Decrypter } from 'age-encryption';

import { GatewayError } from '../core/gateway-error.ts';
import { checkHeader } from './age-header.ts';

/** What an identity file holds. */
export interface IdentityFile {
  /** Of age: X25519 and its post-quantum hybrid; at least one. */
  readonly identities: string[];
  /** Fingerprint of the key whose archives are believed, from a comment `# zasov-signer: FINGERPRINT`. */
  readonly signer: string | undefined;
}

/** No identity file is longer. */
export const IDENTITY_FILE_BYTES = 1024 * 1024;

const IDENTITY = /^AGE-SECRET-KEY-(?:PQ-)?1[0-9A-Z]+$/;
const SIGNER = /^#\s*zasov-signer:\s*(zsb1:[0-9a-f]{64})\s*$/m;
const ARMOR = '-----BEGIN AGE ENCRYPTED FILE-----';
const AGE_HEAD = 'age-encryption.org/';
/** What people take for an identity, and what it is. The text itself is not repeated: it may be a secret. */
const OTHERS: readonly (readonly [RegExp, string])[] = [
  [/^age1/, 'is a recipient, the public half of an identity, and opens nothing'],
  [/^AGE-PLUGIN-/, 'needs a plugin of age, and none is used here'],
  [/^-----BEGIN .*PRIVATE KEY-----/, 'begins a key of OpenSSH, and only identities of age are used here'],
  [/^AGE-SECRET-KEY-/i, 'is no whole identity: something of it is missing or wrong'],
];

/**
 * Reads what `age-keygen` writes: an identity a line, comments passed over; or that encrypted with a passphrase
 * (`age -p`), armored or not.
 *
 * @param ask for the passphrase; called only where there is need of one.
 * @throws GatewayError `backup_invalid` when the passphrase is wrong, or for what is no such file; what `ask` throws.
 */
export async function readIdentities(file: Uint8Array, ask: () => Promise<string>): Promise<IdentityFile> {
  const sealed = sealedPart(file);
  const plain = sealed === undefined ? file : await open(sealed, await ask());
  const text = textOf(plain);
  const identities = text.split('\n').flatMap((line, index) => identityIn(line.trim(), index + 1));
  if (identities.length === 0) throw odd('holds no age identity (AGE-SECRET-KEY-…)');
  return { identities, signer: SIGNER.exec(text)?.[1] };
}

/** What is encrypted, without its armor. */
function sealedPart(file: Uint8Array): Uint8Array | undefined {
  const bytes = Buffer.from(file);
  if (bytes.toString('latin1', 0, AGE_HEAD.length) === AGE_HEAD) return file;
  const text = bytes.toString().trim();
  if (!text.startsWith(ARMOR)) return undefined;
  try {
    return armor.decode(text);
  } catch (error) {
    throw odd('is cut or was changed: its armor is not whole', error);
  }
}

async function open(sealed: Uint8Array, passphrase: string): Promise<Uint8Array> {
  checkHeader(sealed);
  const decrypter = new Decrypter();
  decrypter.addPassphrase(passphrase);
  try {
    return await decrypter.decrypt(sealed);
  } catch (error) {
    const says = error instanceof Error ? error.message : String(error);
    if (!/no identity matched/i.test(says))
      throw odd(`does not open, it is cut or was changed (${says})`, error);
    const isScrypt = Buffer.from(sealed).toString('latin1', 0, 64).includes('\n-> scrypt ');
    throw isScrypt
      ? new GatewayError('backup_invalid', 'the passphrase does not open the identity file')
      : odd('is encrypted to a recipient and not with a passphrase: decrypt it with age first');
  }
}

function textOf(plain: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(plain);
  } catch (error) {
    throw odd('is no text', error);
  }
}

function identityIn(line: string, number: number): string[] {
  if (line === '' || line.startsWith('#')) return [];
  const says = OTHERS.find(([form]) => form.test(line))?.[1] ?? 'is neither a comment nor an age identity';
  if (!IDENTITY.test(line)) throw odd(`cannot be used: its line ${number} ${says}`);
  try {
    // Its checksum is looked at here, where a slip of the pen can still be told from an archive of somebody else.
    new Decrypter().addIdentity(line);
  } catch (error) {
    throw odd(`cannot be used: its line ${number} ${says}`, error);
  }
  return [line];
}

function odd(says: string, cause?: unknown): GatewayError {
  return new GatewayError('backup_invalid', `the identity file ${says}`, { cause });
}
