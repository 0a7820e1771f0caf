import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

import { foldName } from '../core/fold-name.ts';
import type { Keyring } from '../crypto/keyring.ts';

/** The cookie of clients that signed somebody in before. */
export const KNOWN_COOKIE = '__Host-Http-zasov-known';

/**
 * Which people signed in from a client before (OWASP "Slow Down Online Guessing Attacks with Device Cookies"). Nothing
 * is stored: the client keeps a cookie that only this gateway can make and that names nobody.
 *
 * Its value is `KID.ENTRY.ENTRY…`, at most four entries, the latest first. An entry is 6 random bytes and the first 16
 * of an HMAC-SHA-256 over account, person and those 6, in base64url.
 */
export interface KnownClients {
  /** @returns what the client is counted under when it signs this person in; `undefined` when it is not known. */
  find(cookie: string | undefined, account: string, subject: string): string | undefined;
  /** Adds a person who has just signed in. @returns a `Set-Cookie` value. */
  remember(cookie: string | undefined, account: string, subject: string): string;
}

const NONCE_BYTES = 6;
const MAC_BYTES = 16;
const ENTRIES = 4;
const ENTRY_FORM = /^[\w-]{30}$/;
const LIFE_SECONDS = 180 * 86_400;

/** @param keyring a key id that is retired makes its clients unknown. */
export function createKnownClients(keyring: Keyring): KnownClients {
  const macOf = (kid: string, nonce: Buffer, account: string, subject: string): Buffer | undefined => {
    const key = keyring.derive(kid, 'known-client');
    const text = JSON.stringify([account, foldName(subject)]);
    return key && createHmac('sha256', key).update(nonce).update(text).digest().subarray(0, MAC_BYTES);
  };
  const isOf = (kid: string, entry: string, account: string, subject: string): boolean => {
    const bytes = Buffer.from(entry, 'base64url');
    const mac = macOf(kid, bytes.subarray(0, NONCE_BYTES), account, subject);
    return mac !== undefined && timingSafeEqual(mac, bytes.subarray(NONCE_BYTES));
  };
  return {
    find: (cookie, account, subject) => {
      const { kid, entries } = parse(cookie);
      return entries.find((entry) => isOf(kid, entry, account, subject));
    },
    remember: (cookie, account, subject) => {
      const { kid, entries } = parse(cookie);
      const nonce = randomBytes(NONCE_BYTES);
      const mac = macOf(keyring.currentKid, nonce, account, subject) ?? Buffer.alloc(MAC_BYTES);
      const own = Buffer.concat([nonce, mac]).toString('base64url');
      // Entries under another key could not be told from each other any more.
      const others = kid === keyring.currentKid ? entries : [];
      const kept = others.filter((entry) => !isOf(kid, entry, account, subject)).slice(0, ENTRIES - 1);
      const value = [keyring.currentKid, own, ...kept].join('.');
      return `${KNOWN_COOKIE}=${value}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=${LIFE_SECONDS}`;
    },
  };
}

function parse(cookie: string | undefined): { kid: string; entries: string[] } {
  const [kid = '', ...entries] = cookie?.slice(0, 256).split('.') ?? [];
  return { kid, entries: entries.slice(0, ENTRIES).filter((entry) => ENTRY_FORM.test(entry)) };
}
