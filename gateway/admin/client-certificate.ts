import { createHash, createPublicKey, type KeyObject, type X509Certificate } from 'node:crypto';

import { binary, namedBits, octets, oid, sequence, tagged } from '../crypto/der.ts';
import { extension, keyIdentifier, signCertificate } from '../crypto/sign-certificate.ts';
import type { AdminAuthority } from './admin-authority.ts';

/** Life of a client certificate: short, because a lost one that nobody reports dies by itself. */
const CERTIFICATE_DAYS = 90;

/** SHA-256 of a public key (SubjectPublicKeyInfo, DER), 64 hexadecimal digits: what a policy pins. */
export function fingerprintOf(publicKey: KeyObject): string {
  return createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest('hex');
}

/** As {@link fingerprintOf} for the key of a certificate. */
export function certificateFingerprint(certificate: X509Certificate): string {
  return fingerprintOf(certificate.publicKey);
}

/**
 * Whether a key is one that administrators may have: P-256 or P-384, or RSA of 2048 bits or more, which is what smart
 * cards hold.
 *
 * @returns what is wrong, `undefined` when nothing is.
 */
export function keyMistake(publicKey: KeyObject): string | undefined {
  const { asymmetricKeyType: kind, asymmetricKeyDetails: details } = publicKey;
  if (kind === 'ec' && ['prime256v1', 'secp384r1'].includes(details?.namedCurve ?? '')) return undefined;
  if (kind === 'rsa' && (details?.modulusLength ?? 0) >= 2048) return undefined;
  return 'the key is neither P-256, P-384 nor RSA of 2048 bits or more';
}

/** Reads a public key that was sent (SubjectPublicKeyInfo in base64); `undefined` for anything else. */
export function readPublicKey(base64: string): KeyObject | undefined {
  try {
    const key = createPublicKey({ key: Buffer.from(base64, 'base64'), type: 'spki', format: 'der' });
    return keyMistake(key) === undefined ? key : undefined;
  } catch {
    return undefined;
  }
}

/** What a client certificate is issued for. */
interface ClientRequest {
  readonly name: string;
  readonly publicKey: KeyObject;
  readonly nowMs: number;
  /** {@link CERTIFICATE_DAYS} unless it is given. */
  readonly days?: number;
}

/** Issues a client certificate (extendedKeyUsage clientAuth alone). @returns PEM. */
export function issueClientCertificate(authority: AdminAuthority, request: ClientRequest): string {
  const { name, publicKey, nowMs, days = CERTIFICATE_DAYS } = request;
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const keyId = keyIdentifier(authority.certificate.publicKey.export({ type: 'spki', format: 'der' }));
  const extensions = [
    extension('2.5.29.19', true, sequence([])),
    extension('2.5.29.15', true, namedBits(0x80, 7)),
    extension('2.5.29.37', false, sequence([oid('1.3.6.1.5.5.7.3.2')])),
    extension('2.5.29.14', false, octets(binary(keyIdentifier(spki)))),
    extension('2.5.29.35', false, sequence([tagged(0, binary(keyId))])),
  ];
  const issuer = { name: authority.name, privateKey: authority.privateKey, keyId };
  return signCertificate(issuer, { subject: name, spki, nowMs, days, extensions });
}
