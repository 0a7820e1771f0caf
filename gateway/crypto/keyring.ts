import { hkdfSync, randomBytes } from 'node:crypto';
import { GatewayError } from '../core/gateway-error.ts';

/** Length of a master key and of every key derived from it, in bytes. */
export const KEY_BYTES = 32;

/** The longest key id; longer ones would push the session cookie over its 128 bytes. */
const KID_FORM = /^[A-Za-z0-9_-]{1,12}$/;
const KEY_FORM = /^[A-Za-z0-9_-]{43}$/;

/**
 * Master keys by key id, and the keys derived from them. Master keys never leave this object: everything else
 * works with keys derived for one purpose, so that no key serves two algorithms (NIST SP 800-108 section 4).
 */
export interface Keyring {
  /** The key that new tokens and seals are made under. */
  readonly currentKid: string;
  /** All key ids, the current one first; the others still open what was made under them. */
  readonly kids: readonly string[];
  /**
   * The key of a purpose under a key id: HKDF-SHA-256 (RFC 5869). Cached; callers do not write into it.
   *
   * @param bytes length of the key; one purpose always asks for one length.
   * @returns `undefined` when the key id is not (or no longer) in the ring.
   */
  derive(kid: string, purpose: string, bytes?: number): Buffer | undefined;
  /** As {@link derive} under the current key, which always exists. */
  deriveCurrent(purpose: string, bytes?: number): Buffer;
}

/** Makes the text of a fresh master-key file: one random key under the key id `1`. */
export function createMasterKey(): string {
  return `1:${randomBytes(KEY_BYTES).toString('base64url')}\n`;
}

/**
 * Reads master-key material: one `kid:key` a line, the key 32 bytes in base64url, the first line the current one.
 * A line without `kid:` gets the id `1`. Empty lines and lines that start with `#` are passed over. To rotate, put
 * a new line on top; to retire a key, drop its line: everything made under it is then unknown.
 *
 * @throws GatewayError `internal` that names the line and what is wrong, never the key.
 */
export function parseKeyring(text: string): Keyring {
  const masters = new Map<string, Buffer>();
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const [kid, key] = parseLine(line, index + 1);
    if (masters.has(kid)) throw mistake(index + 1, `the key id "${kid}" was used before`);
    masters.set(kid, key);
  }
  const [currentKid] = masters.keys();
  if (currentKid === undefined) throw new GatewayError('internal', 'the master key material holds no key');
  return keyringOf(masters, currentKid);
}

function parseLine(line: string, number: number): [string, Buffer] {
  const colon = line.indexOf(':');
  const kid = colon === -1 ? '1' : line.slice(0, colon).trim();
  const text = line.slice(colon + 1).trim();
  if (!KID_FORM.test(kid)) throw mistake(number, 'a key id is 1 to 12 letters, digits, "_" or "-"');
  const key = Buffer.from(text, 'base64url');
  if (!KEY_FORM.test(text) || key.toString('base64url') !== text) {
    throw mistake(number, `a key is ${KEY_BYTES} bytes in base64url: 43 characters without "="`);
  }
  return [kid, key];
}

function mistake(line: number, what: string): GatewayError {
  return new GatewayError('internal', `master key, line ${line}: ${what}`);
}

function keyringOf(masters: ReadonlyMap<string, Buffer>, currentKid: string): Keyring {
  const derived = new Map<string, Buffer>();
  const derive = (kid: string, purpose: string, bytes = KEY_BYTES): Buffer | undefined => {
    const slot = `${kid}\n${bytes}\n${purpose}`;
    const known = derived.get(slot);
    if (known !== undefined) return known;
    const master = masters.get(kid);
    if (master === undefined) return undefined;
    const key = Buffer.from(hkdfSync('sha256', master, '', `zasov/v1/${purpose}`, bytes));
    derived.set(slot, key);
    return key;
  };
  return {
    currentKid,
    kids: [...masters.keys()],
    derive,
    deriveCurrent(purpose, bytes) {
      const key = derive(currentKid, purpose, bytes);
      if (key === undefined) throw new GatewayError('internal', 'the keyring lost its current key');
      return key;
    },
  };
}
