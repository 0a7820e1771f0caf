import { createHash, createHmac, type KeyObject, randomBytes, X509Certificate } from 'node:crypto';

import forge from 'node-forge';

import {
  type Asn1,
  binary,
  der,
  explicit,
  integer,
  none,
  octets,
  oid,
  readDer,
  sequence,
  set,
} from '../crypto/der.ts';

const MAC_ITERATIONS = 2048;

/**
 * Packs a private key with its certificates for a browser (PKCS #12, RFC 7292). node-forge packs RSA keys only, so the
 * outer structure is laid out here: the key is encrypted with PBES2 (PBKDF2, AES-256-CBC), the certificates, which are
 * no secret, stand in the clear, and HMAC-SHA-256 over all of it tells a wrong password from a good one.
 *
 * @param chain the key's own certificate, then its authority.
 * @param label what the browser shows.
 */
export function packPkcs12(
  key: KeyObject,
  chain: readonly string[],
  password: string,
  label: string,
): Buffer {
  const certificates = chain.map((pem) => new X509Certificate(pem).raw);
  const keyId = createHash('sha1')
    .update(certificates[0] ?? '')
    .digest();
  const attributes = [
    attribute('1.2.840.113549.1.9.20', bmpString(label)),
    attribute('1.2.840.113549.1.9.21', octets(binary(keyId))),
  ];
  const shrouded = key.export({ type: 'pkcs8', format: 'der', cipher: 'aes-256-cbc', passphrase: password });
  const keyBag = bag('1.2.840.113549.1.12.10.1.2', readDer(shrouded), attributes);
  const certBags = certificates.map((raw, index) =>
    bag('1.2.840.113549.1.12.10.1.3', certificateBag(raw), index === 0 ? attributes : []),
  );
  const safe = der(sequence([contentInfo(sequence(certBags)), contentInfo(sequence([keyBag]))]));
  return der(sequence([integer('\u0003'), contentInfo(safe), macData(safe, password)]));
}

function bag(id: string, content: Asn1, attributes: readonly Asn1[]): Asn1 {
  const parts = [oid(id), explicit(0, [content])];
  return sequence(attributes.length === 0 ? parts : [...parts, set([...attributes])]);
}

function certificateBag(raw: Buffer): Asn1 {
  return sequence([oid('1.2.840.113549.1.9.22.1'), explicit(0, [octets(binary(raw))])]);
}

function attribute(id: string, value: Asn1): Asn1 {
  return sequence([oid(id), set([value])]);
}

function contentInfo(content: Asn1 | Buffer): Asn1 {
  const bytes = Buffer.isBuffer(content) ? content : der(content);
  return sequence([oid('1.2.840.113549.1.7.1'), explicit(0, [octets(binary(bytes))])]);
}

function macData(content: Buffer, password: string): Asn1 {
  const salt = randomBytes(16);
  const derived = forge.pkcs12.generateKey(
    password,
    forge.util.createBuffer(binary(salt)),
    3,
    MAC_ITERATIONS,
    32,
    forge.md.sha256.create(),
  );
  const key = Buffer.from(derived.getBytes(), 'latin1');
  const digest = createHmac('sha256', key).update(content).digest();
  const algorithm = sequence([oid('2.16.840.1.101.3.4.2.1'), none()]);
  const iterations = String.fromCharCode(MAC_ITERATIONS >> 8, MAC_ITERATIONS & 0xff);
  return sequence([sequence([algorithm, octets(binary(digest))]), octets(binary(salt)), integer(iterations)]);
}

/** node-forge itself writes the text of this type as UTF-16, big-endian. */
function bmpString(text: string): Asn1 {
  return forge.asn1.create(forge.asn1.Class.UNIVERSAL, forge.asn1.Type.BMPSTRING, false, text);
}
