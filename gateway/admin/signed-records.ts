import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { join } from 'node:path';

import { canonicalJson, type JsonValue } from '../core/canonical-json.ts';
import { GatewayError } from '../core/gateway-error.ts';
import type { Keyring } from '../crypto/keyring.ts';
import { createSealedBox, type SealedBox } from '../crypto/sealed-box.ts';
import type { RecordKind, RecordStore, StoredRecord } from '../store/record-store.ts';
import { adminDirectory } from './admin-authority.ts';
import { SeenVersions } from './seen-versions.ts';

const ATTEMPTS = 3;

/** A record that could be opened and whose signature is right. */
interface SignedRecord<T> {
  /** Version of the record in the store; the next one to write is one more. */
  readonly version: number;
  readonly value: T;
  /** Whether it is sealed under a former master key, so that it is lost when that one is retired. */
  readonly isOld: boolean;
}

/** What a record holds: a whole JSON value and who vouches for it. */
interface Envelope {
  readonly kid: string;
  readonly value: JsonValue;
  readonly signature: string;
}

/** The DER of an Ed25519 private key up to its 32 bytes (RFC 8410 section 7). */
const ED25519_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');

/**
 * Records that only this installation can have written: canonical JSON, signed (Ed25519) and sealed (AES-256-GCM) with
 * keys of the master key, bound to the record's kind, id and version. Whoever can write the store can neither make nor
 * change one, and a record that was put back or taken away is noticed by whoever has seen a later one.
 */
export class SignedRecords {
  readonly #records: RecordStore;
  readonly #keyring: Keyring;
  readonly #box: SealedBox;
  readonly #seen: SeenVersions;

  /** @param data the data directory, in which the versions that were seen are kept. */
  constructor(records: RecordStore, keyring: Keyring, data: string) {
    this.#seen = new SeenVersions(join(adminDirectory(data), 'seen'));
    this.#records = records;
    this.#keyring = keyring;
    this.#box = createSealedBox(keyring, 'admin-record');
  }

  /**
   * Reads a record.
   *
   * @throws GatewayError `admin_untrusted` when it does not verify, or is older than was seen; `store_unavailable`.
   */
  async read<T>(kind: RecordKind, id: string): Promise<SignedRecord<T> | undefined> {
    const stored = await this.#readLatest(kind, id);
    if (stored === undefined) return undefined;
    const label = labelOf(kind, id, stored.version);
    const envelope = this.#open(stored.body, label);
    const isGenuine = envelope !== undefined && this.#isSigned(envelope, label);
    if (!isGenuine)
      throw new GatewayError('admin_untrusted', `the record ${kind}/${id} was not written by this gateway`);
    const isOld = envelope.kid !== this.#keyring.currentKid;
    await this.#seen.note(`${kind}/${id}`, stored.version);
    return { version: stored.version, value: envelope.value as T, isOld };
  }

  async #readLatest(kind: RecordKind, id: string): Promise<StoredRecord | undefined> {
    for (let attempt = 1; ; attempt++) {
      const stored = await this.#records.read(kind, id);
      const least = await this.#seen.least(`${kind}/${id}`);
      if ((stored?.version ?? 0) >= least) return stored;
      // Somebody may have written, and noted it, since the record was read.
      if (attempt < ATTEMPTS) continue;
      const says = stored === undefined ? 'gone' : 'older than one that was seen';
      throw new GatewayError('admin_untrusted', `the record ${kind}/${id} is ${says}`);
    }
  }

  /** Writes a value of plain JSON if the store has the version before. @returns whether it was written. */
  async write(kind: RecordKind, id: string, version: number, plainValue: object): Promise<boolean> {
    const value = plainValue as JsonValue;
    const kid = this.#keyring.currentKid;
    const label = labelOf(kind, id, version);
    const key = signingKey(this.#keyring.deriveCurrent('admin-signature'));
    const signature = sign(null, signedBytes(label, value), key).toString('base64url');
    const plain = Buffer.from(canonicalJson({ kid, value, signature }));
    const isWritten = await this.#records.write({ kind, id, version, body: this.#box.seal(plain, label) });
    if (isWritten) await this.#seen.note(`${kind}/${id}`, version);
    return isWritten;
  }

  #open(body: Uint8Array, label: string): Envelope | undefined {
    const plain = this.#box.open(body, label);
    return plain === undefined ? undefined : (JSON.parse(plain.toString()) as Envelope);
  }

  #isSigned({ kid, value, signature }: Envelope, label: string): boolean {
    const seed = this.#keyring.derive(kid, 'admin-signature');
    if (seed === undefined) return false;
    const key = createPublicKey(signingKey(seed));
    return verify(null, signedBytes(label, value), key, Buffer.from(signature, 'base64url'));
  }
}

function labelOf(kind: RecordKind, id: string, version: number): string {
  return `${kind}/${id}/${version}`;
}

function signedBytes(label: string, value: JsonValue): Buffer {
  return Buffer.from(`zasov/v1/${label}\n${canonicalJson(value)}`);
}

function signingKey(seed: Buffer): KeyObject {
  return createPrivateKey({ key: Buffer.concat([ED25519_PREFIX, seed]), format: 'der', type: 'pkcs8' });
}
