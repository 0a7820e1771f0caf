import { createHmac, timingSafeEqual } from 'node:crypto';

import type { Keyring } from '../crypto/keyring.ts';

const PURPOSE = 'account-page form';

/** Tokens that tie a form to the session that it was shown in. */
export interface FormTokens {
  make(sessionId: string): string;
  /** Compares in a time that does not depend on the token. */
  isValid(sessionId: string, token: string | undefined): boolean;
}

/**
 * Makes tokens by HMAC of the session (OWASP CSRF Prevention, "Employing HMAC CSRF Tokens"): nothing is stored, every
 * node and worker reads them, and they stay good while the session's own identifier changes.
 */
export function createFormTokens(keyring: Keyring): FormTokens {
  const under = (key: Buffer, sessionId: string) => createHmac('sha256', key).update(sessionId).digest();
  return {
    make: (sessionId) => under(keyring.deriveCurrent(PURPOSE), sessionId).toString('base64url'),
    isValid(sessionId, token = '') {
      const given = Buffer.from(token, 'base64url');
      return keyring.kids.some((kid) => {
        const key = keyring.derive(kid, PURPOSE);
        const wanted = key === undefined ? undefined : under(key, sessionId);
        return wanted !== undefined && wanted.length === given.length && timingSafeEqual(wanted, given);
      });
    },
  };
}
