import { createHash, createPublicKey, type KeyObject, randomBytes, sign, verify } from 'node:crypto';

import { canonicalJson, type JsonValue } from '../core/canonical-json.ts';
import type { CriticalAction } from './admin.ts';
import { fingerprintOf, readPublicKey } from './client-certificate.ts';

/** What both administrators sign. Any difference in it is another payload with another hash. */
export interface ProposalPayload extends CriticalAction {
  /** 22 letters of base64url. */
  readonly id: string;
  /** As long, so that nobody can foresee what will be signed. */
  readonly nonce: string;
  /** The installation, so that a signature for one opens nothing in another. */
  readonly gateway: string;
  /** The number of the list of administrators under which it was made. */
  readonly list: number;
  /** Until when the other one may sign, in ms. */
  readonly expires_ms: number;
}

/** A signature with the public key that it is checked with. */
export interface ProposalSignature {
  /** SubjectPublicKeyInfo in base64. */
  readonly public_key: string;
  /** ECDSA (DER) or RSA PKCS #1 v1.5 over SHA-256, in base64. */
  readonly signature: string;
}

/** Makes a payload for an action, with a new id and nonce. */
export function makePayload(
  action: CriticalAction,
  under: { readonly gateway: string; readonly list: number; readonly expires_ms: number },
): ProposalPayload {
  return { ...action, ...under, id: typedId(), nonce: unique() };
}

function unique(): string {
  return randomBytes(16).toString('base64url');
}

/** People type it into commands, which would take one that begins with "-" for an option. */
function typedId(): string {
  const id = unique();
  return id.startsWith('-') ? typedId() : id;
}

/** What is signed: a fixed first line, so that the signature means nothing elsewhere, and RFC 8785 JSON. */
function signedBytes(payload: ProposalPayload): Buffer {
  const { id, nonce, gateway, kind, parameters, list, expires_ms } = payload;
  const value = { id, nonce, gateway, kind, parameters, list, expires_ms } as JsonValue;
  return Buffer.from(`zasov/v1/approval\n${canonicalJson(value)}`);
}

/** The SHA-256 that both see and sign, 64 hexadecimal digits. */
export function payloadHash(payload: ProposalPayload): string {
  return createHash('sha256').update(signedBytes(payload)).digest('hex');
}

/** Signs a payload with a person's own key, on the person's own machine. */
export function signPayload(payload: ProposalPayload, privateKey: KeyObject): ProposalSignature {
  const publicKey = createPublicKey(privateKey);
  return {
    public_key: publicKey.export({ type: 'spki', format: 'der' }).toString('base64'),
    signature: sign('sha256', signedBytes(payload), privateKey).toString('base64'),
  };
}

/** Whose signature of a payload this is: the fingerprint of the key, `undefined` when it is wrong. */
export function signerOf(payload: ProposalPayload, given: ProposalSignature): string | undefined {
  const key = readPublicKey(given.public_key);
  if (key === undefined) return undefined;
  const isRight = verify('sha256', signedBytes(payload), key, Buffer.from(given.signature, 'base64'));
  return isRight ? fingerprintOf(key) : undefined;
}
