import { createHash, randomBytes, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import {
  type Asn1,
  binary,
  bits,
  boolean,
  bytesOf,
  der,
  explicit,
  integer,
  octets,
  oid,
  partsOf,
  readDer,
  sequence,
  set,
  time,
  utf8,
} from './der.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** Who signs: the authority's common name, its P-256 key and the identifier of it. */
export interface CertificateIssuer {
  readonly name: string;
  readonly privateKey: KeyObject;
  readonly keyId: Buffer;
}

/** What differs between one certificate and another. */
export interface CertificateRequest {
  /** The common name; the organization is always Zasov. */
  readonly subject: string;
  /** The public key, SubjectPublicKeyInfo in DER. */
  readonly spki: Buffer;
  readonly nowMs: number;
  readonly days: number;
  readonly extensions: readonly Asn1[];
}

/**
 * Signs a version 3 certificate with ecdsa-with-SHA256 and returns it as PEM. node-forge has no ECDSA: it lays out the
 * ASN.1, and the key and the signature come from `node:crypto`.
 */
export function signCertificate(issuer: CertificateIssuer, request: CertificateRequest): string {
  const algorithm = sequence([oid('1.2.840.10045.4.3.2')]);
  // An hour back, for clients whose clocks are behind.
  const notBefore = request.nowMs - HOUR_MS;
  const body = sequence([
    explicit(0, [integer('\u0002')]),
    integer(serialNumber()),
    algorithm,
    distinguishedName(issuer.name),
    sequence([time(notBefore), time(notBefore + request.days * DAY_MS)]),
    distinguishedName(request.subject),
    readDer(request.spki),
    explicit(3, [sequence([...request.extensions])]),
  ]);
  const signature = sign('sha256', der(body), { key: issuer.privateKey, dsaEncoding: 'der' });
  const base64 = der(sequence([body, algorithm, bits(signature)])).toString('base64');
  return `-----BEGIN CERTIFICATE-----\n${base64.replaceAll(/.{1,64}/g, '$&\n')}-----END CERTIFICATE-----\n`;
}

/** RFC 7093 method 1: the first 160 bits of SHA-256 over the key bits. */
export function keyIdentifier(spki: Uint8Array): Buffer {
  const key = bytesOf(partsOf(readDer(spki))[1]);
  // The first byte of a BIT STRING says how many bits of the last one are unused: none.
  return createHash('sha256').update(key.subarray(1)).digest().subarray(0, 20);
}

/** One extension of a certificate. */
export function extension(id: string, critical: boolean, value: Asn1): Asn1 {
  const body = octets(binary(der(value)));
  return sequence(critical ? [oid(id), boolean(true), body] : [oid(id), body]);
}

/** The PKCS #8 key as PEM. */
export function privateKeyPem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' });
}

/** 127 random bits; the top bits make it positive and of fixed length (RFC 5280 section 4.1.2.2). */
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return binary(bytes);
}

function distinguishedName(commonName: string): Asn1 {
  const attribute = (type: string, value: string): Asn1 => set([sequence([oid(type), utf8(value)])]);
  return sequence([attribute('2.5.4.10', 'Zasov'), attribute('2.5.4.3', commonName)]);
}
