import { createHmac, hash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Keyring } from '../crypto/keyring.ts';

//  v1 . kid . fid . gen . iat . rnd . mac
//  |    |     |     |     |     |     `- 22 chars  HMAC-SHA-256 over everything before, first 16 bytes
//  |    |     |     |     |     `------- 24 chars  18 random bytes: what makes this id unlike any other
//  |    |     |     |     `------------- 8-9 chars time of issue, ms since the epoch, base36
//  |    |     |     `------------------- 1-7 chars generation it was issued for, base36
//  |    |     `------------------------- 22 chars  16 random bytes: the family
//  |    `------------------------------- 1-12 chars master key that the MAC is under
//  `------------------------------------ version of this layout
//  Binary parts are base64url without padding. Longest: 2+12+22+7+9+24+22 and 6 dots = 104 characters, with
//  "__Host-Http-zasov=" 122: one small opaque cookie, never a 431.
const VERSION = 'v1';
const FAMILY_BYTES = 16;
const RANDOM_BYTES = 18;
const MAC_BYTES = 16;
/** 22 base64url characters carry 132 bits of SHA-256. */
const HASH_CHARS = 22;
/** The longest token; anything longer is refused unread. */
export const TOKEN_MAX_CHARS = 104;
const SHAPE =
  /^v1\.([\w-]{1,12})\.([\w-]{22})\.(0|[1-9a-z][0-9a-z]{0,6})\.([1-9a-z][0-9a-z]{7,8})\.[\w-]{24}\.[\w-]{22}$/;

/** What a genuine token says of itself. That its family still lives, or that the id is current, it does not say. */
export interface ParsedToken {
  /** The family id as it stands in the token: a secret that only the cookie and memory hold. */
  readonly familySecret: string;
  /** {@link familyHash} of it. */
  readonly id: string;
  readonly generation: number;
  /** When it was issued, ms since the epoch on the clock of the gateway that issued it. */
  readonly issuedMs: number;
}

/** Makes and checks session tokens. */
export interface TokenMint {
  /** Makes a fresh id of a family. `familySecret` comes from {@link newFamilySecret} or a verified token. */
  mint(familySecret: string, generation: number, nowMs: number): string;
  /**
   * Checks shape and MAC (in constant time), so that garbage never costs a trip to the store.
   *
   * @returns `undefined` when this gateway never made the token, or made it under a key that was retired.
   */
  verify(token: string): ParsedToken | undefined;
}

/** Draws the secret of a new family. */
export function newFamilySecret(): string {
  return randomBytes(FAMILY_BYTES).toString('base64url');
}

/** What the store knows a family by. The secret is 128 random bits, so a plain hash cannot be reversed. */
export function familyHash(familySecret: string): string {
  return hash('sha256', `zasov family ${familySecret}`, 'base64url').slice(0, HASH_CHARS);
}

/** What the store knows an id by. */
export function tokenHash(token: string): string {
  return hash('sha256', token, 'base64url').slice(0, HASH_CHARS);
}

/** Makes the mint of a keyring. New tokens are under the current key; all keys of the ring are accepted. */
export function createTokenMint(keyring: Keyring): TokenMint {
  const macOf = (key: Buffer, text: string): Buffer =>
    Buffer.from(createHmac('sha256', key).update(text).digest().subarray(0, MAC_BYTES).toString('base64url'));
  return {
    mint(familySecret, generation, nowMs) {
      const random = randomBytes(RANDOM_BYTES).toString('base64url');
      const times = `${generation.toString(36)}.${Math.floor(nowMs).toString(36)}`;
      const text = `${VERSION}.${keyring.currentKid}.${familySecret}.${times}.${random}`;
      return `${text}.${macOf(keyring.deriveCurrent('token-mac'), text).toString('latin1')}`;
    },
    verify(token) {
      if (token.length > TOKEN_MAX_CHARS) return undefined;
      const shape = SHAPE.exec(token);
      const [, kid, familySecret, generation, issued] = shape ?? [];
      if (kid === undefined || familySecret === undefined || generation === undefined) return undefined;
      const key = keyring.derive(kid, 'token-mac');
      if (key === undefined) return undefined;
      const dot = token.lastIndexOf('.');
      // Compared as text: a decoder would take several spellings of one MAC, and each would look like a new id.
      const presented = Buffer.from(token.slice(dot + 1), 'latin1');
      if (!timingSafeEqual(presented, macOf(key, token.slice(0, dot)))) return undefined;
      return {
        familySecret,
        id: familyHash(familySecret),
        generation: Number.parseInt(generation, 36),
        issuedMs: Number.parseInt(issued ?? '', 36),
      };
    },
  };
}
