import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import { KEY_BYTES } from './keyring.ts';
import type { Keyring } from './keyring.ts';

//  byte  0        1           2          2+n       14+n                 end-16
//        +--------+-----------+----------+---------+--------------------+-----------+
//        | format | n = |kid| | kid (n)  | nonce   | ciphertext         | tag       |
//        | 0x01   | 1 byte    | ASCII    | 12 B    |                    | 16 B      |
//        +--------+-----------+----------+---------+--------------------+-----------+
//        everything before the ciphertext is authenticated together with the caller's label
const FORMAT = 1;
const HEAD_BYTES = 2;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** Seals values for one purpose with AES-256-GCM (NIST SP 800-38D). Safe for concurrent use. */
export interface SealedBox {
  /**
   * Seals a value under the current key.
   *
   * @param label what the value belongs to (a record's id); opening it under another label fails.
   * @param secret mixed into the key and stored nowhere: without it the master key does not open the value.
   */
  seal(plain: Uint8Array, label: string, secret?: string): Buffer;
  /**
   * Opens a sealed value.
   *
   * @returns `undefined` when it was sealed under a retired key, for another label or secret, or was changed.
   */
  open(sealed: Uint8Array, label: string, secret?: string): Buffer | undefined;
}

/**
 * Makes the box of one purpose. The AES key is derived anew for every label and secret, so that random 96-bit
 * nonces stay far from their collision bound however many records one master key seals.
 */
export function createSealedBox(keyring: Keyring, purpose: string): SealedBox {
  const keyOf = (root: Buffer, label: string, secret: string): Buffer =>
    Buffer.from(hkdfSync('sha256', root, secret, `sealed-box/${label}`, KEY_BYTES));
  return {
    seal(plain, label, secret = '') {
      const kid = Buffer.from(keyring.currentKid);
      const head = Buffer.concat([Buffer.of(FORMAT, kid.length), kid, randomBytes(NONCE_BYTES)]);
      const key = keyOf(keyring.deriveCurrent(purpose), label, secret);
      const cipher = createCipheriv('aes-256-gcm', key, head.subarray(-NONCE_BYTES));
      cipher.setAAD(Buffer.concat([head, Buffer.from(label)]));
      return Buffer.concat([head, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
    },
    open(sealed, label, secret = '') {
      const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength);
      const headEnd = HEAD_BYTES + (bytes[1] ?? 0) + NONCE_BYTES;
      if (bytes[0] !== FORMAT || bytes.length < headEnd + TAG_BYTES) return undefined;
      const head = bytes.subarray(0, headEnd);
      const root = keyring.derive(head.toString('latin1', HEAD_BYTES, headEnd - NONCE_BYTES), purpose);
      if (root === undefined) return undefined;
      const nonce = head.subarray(-NONCE_BYTES);
      const key = keyOf(root, label, secret);
      const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES });
      decipher.setAAD(Buffer.concat([head, Buffer.from(label)]));
      decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
      try {
        return Buffer.concat([decipher.update(bytes.subarray(headEnd, -TAG_BYTES)), decipher.final()]);
      } catch {
        return undefined;
      }
    },
  };
}

/** The id of the master key that a value was sealed under; any text when the bytes are no sealed value. */
export function sealedUnder(sealed: Uint8Array): string {
  return Buffer.from(sealed.subarray(HEAD_BYTES, HEAD_BYTES + (sealed[1] ?? 0))).toString('latin1');
}
