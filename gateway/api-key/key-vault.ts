import { createHmac, timingSafeEqual } from 'node:crypto';

import { foldName } from '../core/fold-name.ts';
import type { Keyring } from '../crypto/keyring.ts';
import { createSealedBox } from '../crypto/sealed-box.ts';
import type { StoredKey } from '../store/key-store.ts';
import { formatKey, newSecret } from './key-format.ts';
import type { FreshSecret, KeyRecord } from './key-life.ts';

const PERSON = 'api-key person';
const PEPPER = 'api-key pepper';
const IMPORTED = 'api-key imported';
const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
const LINEAGE_DIGITS = 12;

/** Everything about keys that needs the master key, which no store has. */
export class KeyVault {
  readonly #keyring: Keyring;
  readonly #records;
  readonly #uses;

  constructor(keyring: Keyring) {
    this.#keyring = keyring;
    this.#records = createSealedBox(keyring, 'api-key record');
    this.#uses = createSealedBox(keyring, 'api-key use');
  }

  /** What a person is called in the store. */
  person(account: string, subject: string): string {
    return hash(this.#keyring.deriveCurrent(PERSON), personText(account, subject));
  }

  /** All that a person may be called there, under every master key that is in use. */
  persons(account: string, subject: string): string[] {
    return this.#underEach(PERSON, personText(account, subject));
  }

  /** Makes the secret of a generation. */
  makeSecret(prefix: string, id: string): FreshSecret {
    const secret = newSecret();
    return { ...this.macOf(id, secret), text: formatKey(prefix, id, secret) };
  }

  /** What is kept of a secret: its HMAC-SHA-256 under a pepper that no store holds. */
  macOf(id: string, secret: string): { kid: string; mac: string } {
    const { currentKid } = this.#keyring;
    return { kid: currentKid, mac: hash(this.#keyring.deriveCurrent(PEPPER), `${id}\n${secret}`) };
  }

  /** Whether a secret is the one; in a time that does not depend on it. */
  isSecret(id: string, secret: string, kept: { readonly kid: string; readonly mac: string }): boolean {
    const pepper = this.#keyring.derive(kept.kid, PEPPER);
    const mac = Buffer.from(hash(pepper ?? this.#keyring.deriveCurrent(PEPPER), `${id}\n${secret}`));
    const expected = Buffer.from(kept.mac);
    return pepper !== undefined && mac.length === expected.length && timingSafeEqual(mac, expected);
  }

  /** The lineages that a text from elsewhere may stand under: derived from it, since it names none. */
  importedLineages(text: string): string[] {
    return this.#keyring.kids.flatMap((kid) => {
      const key = this.#keyring.derive(kid, IMPORTED);
      return key === undefined ? [] : [lineageOf(createHmac('sha256', key).update(text).digest())];
    });
  }

  seal(record: KeyRecord, version: number, dueMs: number): StoredKey {
    const { lineage, account, subject } = record;
    const body = this.#records.seal(Buffer.from(JSON.stringify(record)), lineage);
    return { lineage, version, person: this.person(account, subject), dueMs, body };
  }

  /** @returns `undefined` when it was sealed under a master key that is gone, or changed. */
  open({ lineage, body }: StoredKey): KeyRecord | undefined {
    const plain = this.#records.open(body, lineage);
    return plain === undefined ? undefined : (JSON.parse(plain.toString()) as KeyRecord);
  }

  sealUse(lineage: string, use: LastUse): Buffer {
    return this.#uses.seal(Buffer.from(JSON.stringify(use)), lineage);
  }

  openUse(lineage: string, sealed: Uint8Array): LastUse | undefined {
    const plain = this.#uses.open(sealed, lineage);
    return plain === undefined ? undefined : (JSON.parse(plain.toString()) as LastUse);
  }

  #underEach(purpose: string, text: string): string[] {
    return this.#keyring.kids.flatMap((kid) => {
      const key = this.#keyring.derive(kid, purpose);
      return key === undefined ? [] : [hash(key, text)];
    });
  }
}

/** Where and when a key was last used. */
export interface LastUse {
  readonly atMs: number;
  readonly from: string;
  readonly agent: string;
  readonly generation: number;
}

function personText(account: string, subject: string): string {
  return `${account}\n${foldName(subject)}`;
}

function hash(key: Buffer, text: string): string {
  return createHmac('sha256', key).update(text).digest('base64url');
}

function lineageOf(digest: Buffer): string {
  let text = '';
  for (const byte of digest.subarray(0, LINEAGE_DIGITS)) text += DIGITS.charAt(byte % DIGITS.length);
  return text;
}
