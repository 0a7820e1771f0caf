import type { IssuedKey } from '../api-key/api-key.ts';
import type { Clock } from '../core/clock.ts';
import { parseCookies } from '../core/cookie.ts';
import type { Keyring } from '../crypto/keyring.ts';
import { createSealedBox } from '../crypto/sealed-box.ts';

const COOKIE = '__Host-zasov-flash';
/** How long what was done waits for the page that tells of it, in seconds. */
const LIFE_SECONDS = 120;
/** The `Set-Cookie` value that takes it away once it was shown. */
const CLEARING_FLASH = `${COOKIE}=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0`;

/** What the page says once, after something was done. */
export interface Flash<Note extends string = string> {
  readonly note: Note;
  /** A key that is shown now and never again. */
  readonly key?: IssuedKey | undefined;
}

/** Carries what was done over the redirect that follows (POST, redirect, GET). */
export interface FlashCookies<Note extends string> {
  /** @returns a `Set-Cookie` value. */
  write(sessionId: string, flash: Flash<Note>): string;
  /** @returns what was written for this session, and how to take it away. */
  read(sessionId: string, cookieHeader: string): { flash: Flash<Note>; clearing: string } | undefined;
}

/**
 * Makes the carrier: a sealed cookie for one session and two minutes, so that any worker or node can show the page and
 * a key stands in no store. The page that shows it takes it away: a reload shows it no more, while a page that was lost
 * on its way is not a lost key.
 */
export function createFlashCookies<Note extends string>(keyring: Keyring, clock: Clock): FlashCookies<Note> {
  const box = createSealedBox(keyring, 'account-page flash');
  return {
    write(sessionId, flash) {
      const plain = JSON.stringify({ ...flash, untilMs: clock.now() + LIFE_SECONDS * 1000 });
      const sealed = box.seal(Buffer.from(plain), sessionId).toString('base64url');
      return `${COOKIE}=${sealed}; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=${LIFE_SECONDS}`;
    },
    read(sessionId, cookieHeader) {
      if (!cookieHeader.includes(COOKIE)) return undefined;
      const value = parseCookies(cookieHeader).find(({ name }) => name === COOKIE)?.value;
      const plain = value === undefined ? undefined : box.open(Buffer.from(value, 'base64url'), sessionId);
      if (plain === undefined) return undefined;
      const { untilMs, ...flash } = JSON.parse(plain.toString()) as Flash<Note> & { untilMs: number };
      return untilMs > clock.now() ? { flash, clearing: CLEARING_FLASH } : undefined;
    },
  };
}
