import { createPrivateKey, createPublicKey, hash, type KeyObject, sign, verify } from 'node:crypto';

import type { Keyring } from './keyring.ts';

/** An Ed25519 private key in PKCS#8 is these bytes and its 32-byte seed (RFC 8410 section 7). */
const PKCS8_HEAD = Buffer.from('302e020100300506032b657004220420', 'hex');
/** What the fingerprint of a backup's signer begins with. */
const FINGERPRINT_HEAD = 'zsb1:';

/** Signs texts for one purpose. */
export interface Signer {
  /** SubjectPublicKeyInfo (DER) in base64. */
  readonly publicKey: string;
  /** Ed25519 (RFC 8032), in base64url. */
  sign(text: string): string;
}

/** The private key of a seed of 32 bytes. */
export function signingKeyOf(seed: Buffer): KeyObject {
  return createPrivateKey({ key: Buffer.concat([PKCS8_HEAD, seed]), format: 'der', type: 'pkcs8' });
}

/** The signer of a purpose, derived from the current master key: the same on every node that has it. */
export function createSigner(keyring: Keyring, purpose: string): Signer {
  return signerOf(keyring.deriveCurrent(purpose));
}

/** The public keys of a purpose under every key of the ring, the current one first, as `Signer.publicKey` has them. */
export function publicKeysOf(keyring: Keyring, purpose: string): string[] {
  return keyring.kids.flatMap((kid) => {
    const seed = keyring.derive(kid, purpose);
    return seed === undefined ? [] : [signerOf(seed).publicKey];
  });
}

/** Whether a text was signed with the private half of this key. Never throws: what is no key has signed nothing. */
export function verifySignature(publicKey: string, text: string, signature: string): boolean {
  try {
    const key = createPublicKey({ key: Buffer.from(publicKey, 'base64'), format: 'der', type: 'spki' });
    return (
      key.asymmetricKeyType === 'ed25519' &&
      verify(undefined, Buffer.from(text), key, Buffer.from(signature, 'base64url'))
    );
  } catch {
    return false;
  }
}

/** What a person compares: `zsb1:` and the SHA-256 of the public key in hexadecimal. */
export function signerFingerprint(publicKey: string): string {
  return FINGERPRINT_HEAD + hash('sha256', Buffer.from(publicKey, 'base64'), 'hex');
}

function signerOf(seed: Buffer): Signer {
  const own = signingKeyOf(seed);
  const publicKey = createPublicKey(own).export({ type: 'spki', format: 'der' }).toString('base64');
  return {
    publicKey,
    sign: (text) => sign(undefined, Buffer.from(text), own).toString('base64url'),
  };
}
