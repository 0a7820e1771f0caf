import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';

const derive = promisify<string, Buffer, number, { N: number; r: number; p: number }, Buffer>(scrypt);
const KEY_BYTES = 32;
/** Cheaper than OWASP's recommendation (N = 2^17), so that nine demo accounts hash within the first second. */
const COST = { N: 2 ** 14, r: 8, p: 1 };

/**
 * Hashes a password with scrypt (RFC 7914).
 *
 * @param salt random unless given; the demo's first passwords have the same salt on every node.
 * @returns `scrypt$SALT$HASH` in base64url.
 */
export async function hashPassword(password: string, salt: Buffer = randomBytes(16)): Promise<string> {
  const hash = await derive(password.normalize('NFKC'), salt, KEY_BYTES, COST);
  return `scrypt$${salt.toString('base64url')}$${hash.toString('base64url')}`;
}

/** Whether the password is the one that was hashed; takes the same time for any text. */
export async function isPassword(password: string, stored: string): Promise<boolean> {
  const [, salt = '', hash = ''] = stored.split('$');
  const derived = await derive(password.normalize('NFKC'), Buffer.from(salt, 'base64url'), KEY_BYTES, COST);
  const expected = Buffer.from(hash, 'base64url');
  return expected.length === KEY_BYTES && timingSafeEqual(derived, expected);
}
