import { createHmac } from 'node:crypto';
import { foldName } from '../core/fold-name.ts';
import type { Keyring } from '../crypto/keyring.ts';
import { createSealedBox } from '../crypto/sealed-box.ts';
import { parseProfile } from './client-profile.ts';
import type { ClientProfile } from './client-profile.ts';
import { CookieJar } from './cookie-jar.ts';
import type { PersonKind } from './session.ts';

/** 22 base64url characters carry 132 bits. */
const PERSON_CHARS = 22;

/** Seals what a session holds, so that the store can keep it without being able to read it. */
export interface Vault {
  sealProfile(id: string, profile: ClientProfile): Uint8Array;
  /** @returns `undefined` when the profile is not under a key of the ring, or is not this family's. */
  openProfile(id: string, sealed: Uint8Array): ClientProfile | undefined;
  /**
   * Seals the upstream's cookies under a key that needs the family's secret. The secret is only in the browser's
   * cookie and in memory: a copy of the store opens no jar, not even together with the master key.
   */
  sealJar(id: string, familySecret: string, jar: CookieJar): Uint8Array;
  /** @returns `undefined` when the jar cannot be opened, as {@link openProfile}. */
  openJar(id: string, familySecret: string, sealed: Uint8Array): CookieJar | undefined;
  /** The keyed hash under which the store finds a person's families, however the name was typed. */
  person(account: string, subject: string, kind?: PersonKind): string;
  /** {@link person} under every key of the ring: families that began under an older key are found too. */
  persons(account: string, subject: string, kind?: PersonKind): string[];
}

/** Makes the vault of a keyring. */
export function createVault(keyring: Keyring): Vault {
  const profiles = createSealedBox(keyring, 'session-profile');
  const jars = createSealedBox(keyring, 'session-jar');
  const personUnder = (key: Buffer, account: string, subject: string): string =>
    createHmac('sha256', key)
      .update(`${account}\0${foldName(subject)}`)
      .digest('base64url')
      .slice(0, PERSON_CHARS);
  return {
    sealProfile: (id, profile) => profiles.seal(Buffer.from(JSON.stringify(profile)), id),
    openProfile(id, sealed) {
      const plain = profiles.open(sealed, id);
      return plain === undefined ? undefined : parseProfile(plain.toString());
    },
    sealJar: (id, familySecret, jar) => jars.seal(Buffer.from(jar.encode()), id, familySecret),
    openJar(id, familySecret, sealed) {
      const plain = jars.open(sealed, id, familySecret);
      return plain === undefined ? undefined : CookieJar.decode(plain.toString());
    },
    person: (account, subject, kind = 'person') =>
      personUnder(keyring.deriveCurrent(`session-${kind}`), account, subject),
    persons: (account, subject, kind = 'person') =>
      keyring.kids.flatMap((kid) => {
        const key = keyring.derive(kid, `session-${kind}`);
        return key === undefined ? [] : [personUnder(key, account, subject)];
      }),
  };
}
