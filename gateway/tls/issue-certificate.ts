import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { isIP } from 'node:net';
import forge from 'node-forge';
import { addressBytes } from './address-bytes.ts';

const { asn1 } = forge;
type Asn1 = forge.asn1.Asn1;

/** node-forge types every tag number by its enumeration of the universal ones; these are the context tags 0 to 7. */
const CONTEXT_TAGS = {
  0: asn1.Type.NONE,
  2: asn1.Type.INTEGER,
  3: asn1.Type.BITSTRING,
  7: asn1.Type.ODESC,
} as const;
type ContextTag = keyof typeof CONTEXT_TAGS;

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** A certificate and its PKCS #8 key, both PEM. */
export interface IssuedCertificate {
  readonly certPem: string;
  readonly keyPem: string;
}

/** Who signs: the authority's name and key. */
interface Issuer {
  readonly name: string;
  readonly privateKey: KeyObject;
  readonly keyId: Buffer;
}

/** What differs between one certificate and another. */
interface Request {
  readonly subject: string;
  readonly spki: Buffer;
  readonly nowMs: number;
  readonly days: number;
  readonly extensions: readonly Asn1[];
}

/**
 * Makes a certificate authority whose certificates are believed for the given names alone (name constraints, RFC 5280
 * section 4.2.1.10): whoever trusts it and later loses its key can be lied to about these names and no others.
 *
 * @param permittedHosts host names without wildcards, or addresses; each name permits everything below it.
 */
export function issueAuthority(
  permittedHosts: readonly string[],
  nowMs: number,
  days: number,
): IssuedCertificate {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const keyId = keyIdentifier(spki);
  // Trust stores look an issuer up by name, so two authorities of one machine must not share theirs.
  const name = `Zasov local CA ${keyId.toString('hex').slice(0, 8)}`;
  const extensions = [
    extension('2.5.29.19', true, sequence([boolean(true), integer('\0')])),
    extension('2.5.29.15', true, namedBits(0x06, 1)),
    extension('2.5.29.30', true, nameConstraints(permittedHosts)),
    extension('2.5.29.14', false, octets(binary(keyId))),
  ];
  return {
    certPem: certificate({ name, privateKey, keyId }, { subject: name, spki, nowMs, days, extensions }),
    keyPem: pem(privateKey),
  };
}

/**
 * Makes a server certificate signed by an authority of {@link issueAuthority}.
 *
 * @param hosts names (a leading `*.` is allowed) and addresses for subjectAltName, in order.
 */
export function issueLeaf(
  hosts: readonly string[],
  authority: { readonly name: string; readonly publicKey: KeyObject; readonly privateKey: KeyObject },
  nowMs: number,
  days: number,
): IssuedCertificate {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const issuerKeyId = keyIdentifier(authority.publicKey.export({ type: 'spki', format: 'der' }));
  const extensions = [
    extension('2.5.29.19', true, sequence([])),
    extension('2.5.29.15', true, namedBits(0x80, 7)),
    extension('2.5.29.37', false, sequence([oid('1.3.6.1.5.5.7.3.1')])),
    extension('2.5.29.17', false, sequence(hosts.map(generalName))),
    extension('2.5.29.14', false, octets(binary(keyIdentifier(spki)))),
    extension('2.5.29.35', false, sequence([tagged(0, binary(issuerKeyId))])),
  ];
  const issuer = { name: authority.name, privateKey: authority.privateKey, keyId: issuerKeyId };
  const subject = (hosts[0] ?? 'Zasov').slice(0, 64);
  return {
    certPem: certificate(issuer, { subject, spki, nowMs, days, extensions }),
    keyPem: pem(privateKey),
  };
}

/** node-forge has no ECDSA: it lays out the ASN.1, and the key and the signature come from `node:crypto`. */
function certificate(issuer: Issuer, request: Request): string {
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
    asn1.fromDer(binary(request.spki)),
    explicit(3, [sequence([...request.extensions])]),
  ]);
  const signature = sign('sha256', der(body), { key: issuer.privateKey, dsaEncoding: 'der' });
  const bits = universal(asn1.Type.BITSTRING, `\0${binary(signature)}`);
  const base64 = der(sequence([body, algorithm, bits])).toString('base64');
  return `-----BEGIN CERTIFICATE-----\n${base64.replaceAll(/.{1,64}/g, '$&\n')}-----END CERTIFICATE-----\n`;
}

function nameConstraints(hosts: readonly string[]): Asn1 {
  return sequence([
    explicit(
      0,
      hosts.map((host) => sequence([constraintBase(host)])),
    ),
  ]);
}

function constraintBase(host: string): Asn1 {
  if (isIP(host) === 0) return tagged(2, host);
  const address = addressBytes(host);
  return tagged(7, binary(Buffer.concat([address, Buffer.alloc(address.length, 0xff)])));
}

function generalName(host: string): Asn1 {
  return isIP(host) === 0 ? tagged(2, host) : tagged(7, binary(addressBytes(host)));
}

/** RFC 7093 method 1: the first 160 bits of SHA-256 over the key bits. */
function keyIdentifier(spki: Buffer): Buffer {
  // The last 65 bytes of a P-256 SPKI are its uncompressed point, which is the whole of the BIT STRING.
  return createHash('sha256').update(spki.subarray(-65)).digest().subarray(0, 20);
}

/** 127 random bits; the top bits make it positive and of fixed length (RFC 5280 section 4.1.2.2). */
function serialNumber(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return binary(bytes);
}

function distinguishedName(commonName: string): Asn1 {
  const attribute = (type: string, value: string): Asn1 =>
    universal(asn1.Type.SET, [sequence([oid(type), universal(asn1.Type.UTF8, value)])]);
  return sequence([attribute('2.5.4.10', 'Zasov'), attribute('2.5.4.3', commonName)]);
}

function time(atMs: number): Asn1 {
  const date = new Date(atMs);
  // RFC 5280 section 4.1.2.5: UTCTime through 2049.
  return date.getUTCFullYear() < 2050
    ? universal(asn1.Type.UTCTIME, asn1.dateToUtcTime(date))
    : universal(asn1.Type.GENERALIZEDTIME, asn1.dateToGeneralizedTime(date));
}

function extension(id: string, critical: boolean, value: Asn1): Asn1 {
  const body = octets(binary(der(value)));
  return sequence(critical ? [oid(id), boolean(true), body] : [oid(id), body]);
}

function namedBits(bits: number, unused: number): Asn1 {
  return universal(asn1.Type.BITSTRING, String.fromCharCode(unused, bits));
}

function universal(type: forge.asn1.Type, value: string | Asn1[]): Asn1 {
  return asn1.create(asn1.Class.UNIVERSAL, type, typeof value !== 'string', value);
}

function tagged(tag: ContextTag, value: string): Asn1 {
  return asn1.create(asn1.Class.CONTEXT_SPECIFIC, CONTEXT_TAGS[tag], false, value);
}

function explicit(tag: ContextTag, value: Asn1[]): Asn1 {
  return asn1.create(asn1.Class.CONTEXT_SPECIFIC, CONTEXT_TAGS[tag], true, value);
}

const sequence = (value: Asn1[]): Asn1 => universal(asn1.Type.SEQUENCE, value);
const octets = (value: string): Asn1 => universal(asn1.Type.OCTETSTRING, value);
const integer = (value: string): Asn1 => universal(asn1.Type.INTEGER, value);
const boolean = (value: boolean): Asn1 => universal(asn1.Type.BOOLEAN, value ? '\u00ff' : '\0');
const oid = (value: string): Asn1 => universal(asn1.Type.OID, asn1.oidToDer(value).getBytes());
const binary = (bytes: Buffer): string => bytes.toString('latin1');
const der = (value: Asn1): Buffer => Buffer.from(asn1.toDer(value).getBytes(), 'latin1');

function pem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' });
}
