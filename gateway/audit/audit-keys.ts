import {
  createHmac,
  createPublicKey,
  hash,
  type KeyObject,
  sign,
  timingSafeEqual,
  verify,
} from 'node:crypto';

import { foldName } from '../core/fold-name.ts';
import { GatewayError } from '../core/gateway-error.ts';
import type { Keyring } from '../crypto/keyring.ts';
import { signingKeyOf } from '../crypto/signing-key.ts';

/** What a check of a signature or code came to; `unknown` when the key that it names is not at hand. */
type KeyCheck = 'good' | 'bad' | 'unknown';

/** What a trail is checked with: the master key, or public keys that were kept elsewhere. */
export interface TrailVerifier {
  /** Whether every single record can be checked, and not only what signatures cover. */
  readonly hasMaster: boolean;
  /** @param key the name of the public key. */
  checkSignature(key: string, text: string, signature: string): KeyCheck;
  /** `unknown` without the master key. */
  checkMac(body: string, mac: string): KeyCheck;
}

/** The keys that a trail is written and checked with, derived from the master key. */
export interface AuditKeys extends TrailVerifier {
  /** The name of the public key that {@link sign} goes with. */
  readonly keyName: string;
  /** Ed25519 (RFC 8032) under the current key, in base64url. */
  sign(text: string): string;
  /** Vouches for one record. */
  mac(body: string): string;
  /** The keyed hash under which a person of the CRM stands in the trail. */
  person(account: string, subject: string): string;
  /** As {@link person} under every key of the ring, to find what was written before the master key changed. */
  persons(account: string, subject: string): string[];
  /** SubjectPublicKeyInfo in PEM of every key of the ring, the current one first. */
  readonly publicKeys: readonly string[];
}

const MAC_CHARACTERS = 22;

/** Derives the keys of the trail. They are the same on every node with the same master key. */
export function createAuditKeys(keyring: Keyring): AuditKeys {
  const pairs = keyring.kids.map((kid) => pairOf(derive(keyring, kid, 'audit-signature')));
  const [current] = pairs;
  if (current === undefined) throw new GatewayError('internal', 'the keyring holds no key');
  const verifier = verifierOf(pairs);
  const macUnder = (key: Buffer, body: string) =>
    createHmac('sha256', key).update(body).digest('base64url').slice(0, MAC_CHARACTERS);
  const personUnder = (kid: string, account: string, subject: string) =>
    createHmac('sha256', derive(keyring, kid, 'audit-person'))
      .update(`${account.length}:${account}${foldName(subject)}`)
      .digest('base64url')
      .slice(0, MAC_CHARACTERS);
  return {
    hasMaster: true,
    keyName: current.name,
    sign: (text) => sign(undefined, Buffer.from(text), current.private).toString('base64url'),
    mac: (body) => `${keyring.currentKid}.${macUnder(keyring.deriveCurrent('audit-record'), body)}`,
    checkSignature: (key, text, signature) => verifier.checkSignature(key, text, signature),
    checkMac: (body, mac) => {
      const dot = mac.indexOf('.');
      const key = keyring.derive(mac.slice(0, dot), 'audit-record');
      if (key === undefined) return 'unknown';
      const wanted = Buffer.from(macUnder(key, body));
      const given = Buffer.from(mac.slice(dot + 1));
      return given.length === wanted.length && timingSafeEqual(given, wanted) ? 'good' : 'bad';
    },
    person: (account, subject) => personUnder(keyring.currentKid, account, subject),
    persons: (account, subject) => keyring.kids.map((kid) => personUnder(kid, account, subject)),
    publicKeys: pairs.map(({ public: key }) => key.export({ type: 'spki', format: 'pem' })),
  };
}

/**
 * Checks signatures with public keys that were kept elsewhere, without the master key.
 *
 * @param pem one or more public keys. @throws GatewayError `internal` when there is none in it.
 */
export function readPublicKeys(pem: string): TrailVerifier {
  const blocks = pem.match(/-----BEGIN PUBLIC KEY-----[^-]+-----END PUBLIC KEY-----/g) ?? [];
  if (blocks.length === 0) throw new GatewayError('internal', 'there is no public key in PEM');
  return verifierOf(
    blocks.map((block) => {
      const key = createPublicKey(block);
      return { name: nameOf(key), public: key };
    }),
  );
}

function verifierOf(keys: readonly { readonly name: string; readonly public: KeyObject }[]): TrailVerifier {
  const byName = new Map(keys.map((each) => [each.name, each.public]));
  return {
    hasMaster: false,
    checkSignature: (name, text, signature) => {
      const key = byName.get(name);
      if (key === undefined) return 'unknown';
      return verify(undefined, Buffer.from(text), key, Buffer.from(signature, 'base64url')) ? 'good' : 'bad';
    },
    checkMac: () => 'unknown',
  };
}

function derive(keyring: Keyring, kid: string, purpose: string): Buffer {
  const key = keyring.derive(kid, purpose);
  if (key === undefined) throw new GatewayError('internal', `no master key has the id "${kid}"`);
  return key;
}

function pairOf(seed: Buffer) {
  const own = signingKeyOf(seed);
  const key = createPublicKey(own);
  return { name: nameOf(key), private: own, public: key };
}

/** The beginning of the SHA-256 of the public key. */
function nameOf(key: KeyObject): string {
  return hash('sha256', key.export({ type: 'spki', format: 'der' }), 'hex').slice(0, 16);
}
