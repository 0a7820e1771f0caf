import { randomBytes } from 'node:crypto';
import { crc32 } from 'node:zlib';

// One key as text. Everything is letters and digits, so that a double click takes it whole.
//
//   zsv _ k3J9qPz0aBcD 00 _ 4fT…32…x9 1Ab3xZ
//   |     |            |    |         |
//   |     |            |    |         checksum: CRC-32 of all before it, 6 digits of base 62
//   |     |            |    secret: 32 digits of base 62, 190 bits
//   |     |            generation: 2 digits of base 62, one more with every rotation
//   |     lineage: 12 random digits of base 62, the same for all that one key ever was
//   prefix: from the policy, by which scanners find leaked keys
//
//   lineage and generation are the key's id; only a keyed hash of id and secret is ever stored
const LINEAGE_DIGITS = 12;
const GENERATION_DIGITS = 2;
const SECRET_DIGITS = 32;
const CHECKSUM_DIGITS = 6;
const ID_DIGITS = LINEAGE_DIGITS + GENERATION_DIGITS;

const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const BASE = DIGITS.length;
/** The largest multiple of 62 in a byte: bytes from here on are thrown away, so that every digit is as likely. */
const FAIR_BYTES = 248;
const ID_FORM = new RegExp(`^[0-9A-Za-z]{${ID_DIGITS}}$`);

/** Generations that one lineage can have: more rotations than a key sees in a thousand years. */
export const GENERATION_LIMIT = BASE ** GENERATION_DIGITS;

/** A key's text, taken apart. */
export interface ParsedKey {
  readonly id: string;
  readonly lineage: string;
  readonly generation: number;
  readonly secret: string;
}

/** A fresh lineage: 71 random bits; public. */
export function newLineage(): string {
  return randomDigits(LINEAGE_DIGITS);
}

/** A fresh secret: 190 random bits. */
export function newSecret(): string {
  return randomDigits(SECRET_DIGITS);
}

/** The id of a generation of a key. */
export function keyId(lineage: string, generation: number): string {
  return lineage + inBase62(generation, GENERATION_DIGITS);
}

/** Takes an id apart. @returns `undefined` for what is none. */
export function parseKeyId(id: string): { lineage: string; generation: number } | undefined {
  if (!ID_FORM.test(id)) return undefined;
  const generation = fromBase62(id.slice(LINEAGE_DIGITS));
  return { lineage: id.slice(0, LINEAGE_DIGITS), generation };
}

/** The text of a key, as its owner gets it. */
export function formatKey(prefix: string, id: string, secret: string): string {
  const body = `${prefix}_${id}_${secret}`;
  return body + checksum(body);
}

/**
 * Takes a key's text apart, without asking anybody: length, alphabet and checksum tell a typing mistake or a guess
 * from a key. Does *not* say whether the key exists.
 *
 * @returns `undefined` for what this gateway never made.
 */
export function parseKey(prefix: string, text: string): ParsedKey | undefined {
  const idFrom = prefix.length + 1;
  const secretFrom = idFrom + ID_DIGITS + 1;
  const checksumFrom = secretFrom + SECRET_DIGITS;
  if (text.length !== checksumFrom + CHECKSUM_DIGITS) return undefined;
  if (!text.startsWith(prefix) || text[prefix.length] !== '_' || text[secretFrom - 1] !== '_')
    return undefined;
  const id = text.slice(idFrom, secretFrom - 1);
  const secret = text.slice(secretFrom, checksumFrom);
  if (text.slice(checksumFrom) !== checksum(text.slice(0, checksumFrom))) return undefined;
  const parsed = parseKeyId(id);
  return parsed !== undefined && isBase62(secret) ? { id, ...parsed, secret } : undefined;
}

function checksum(body: string): string {
  return inBase62(crc32(body), CHECKSUM_DIGITS);
}

function inBase62(number: number, digits: number): string {
  let text = '';
  let rest = number;
  for (let place = 0; place < digits; place += 1) {
    text = DIGITS.charAt(rest % BASE) + text;
    rest = Math.floor(rest / BASE);
  }
  return text;
}

function fromBase62(text: string): number {
  let number = 0;
  for (const digit of text) number = number * BASE + DIGITS.indexOf(digit);
  return number;
}

function isBase62(text: string): boolean {
  for (const digit of text) if (!DIGITS.includes(digit)) return false;
  return true;
}

function randomDigits(count: number): string {
  let text = '';
  while (text.length < count) {
    for (const byte of randomBytes(count)) {
      if (byte < FAIR_BYTES && text.length < count) text += DIGITS.charAt(byte % BASE);
    }
  }
  return text;
}
