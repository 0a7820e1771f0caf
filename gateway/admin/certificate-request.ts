import { createPublicKey, type KeyObject, verify } from 'node:crypto';

import { bytesOf, der, partsOf, readDer } from '../crypto/der.ts';
import { keyMistake } from './client-certificate.ts';

/** Digests by the DER of their signature algorithm's identifier (RFC 5758, RFC 4055), in hexadecimal. */
const DIGESTS: Readonly<Record<string, string>> = {
  '2a8648ce3d040302': 'sha256',
  '2a8648ce3d040303': 'sha384',
  '2a8648ce3d040304': 'sha512',
  '2a864886f70d01010b': 'sha256',
  '2a864886f70d01010c': 'sha384',
  '2a864886f70d01010d': 'sha512',
};

/**
 * Takes the public key out of a certificate signing request (PKCS #10, RFC 2986) and checks the request's own
 * signature, which proves that whoever made it holds the private key. Also takes a bare public key in PEM, which
 * proves nothing: it is pinned by its hash anyway.
 *
 * @throws Error with a sentence that says what is wrong.
 */
export function readCertificateRequest(pem: string): KeyObject {
  const key = pem.includes('-----BEGIN PUBLIC KEY-----') ? createPublicKey(pem) : readRequest(pem);
  const mistake = keyMistake(key);
  if (mistake !== undefined) throw new Error(mistake);
  return key;
}

function readRequest(pem: string): KeyObject {
  const base64 =
    /-----BEGIN (?:NEW )?CERTIFICATE REQUEST-----([A-Za-z0-9+/=\s]+)-----END (?:NEW )?CERTIFICATE REQUEST-----/.exec(
      pem,
    )?.[1];
  if (base64 === undefined) throw new Error('this is neither a certificate request nor a public key in PEM');
  const [info, algorithm, signature] = partsOf(readDer(Buffer.from(base64, 'base64')));
  const spki = partsOf(info)[2];
  if (info === undefined || spki === undefined) throw new Error('the certificate request is not whole');
  const publicKey = createPublicKey({ key: der(spki), type: 'spki', format: 'der' });
  const digest = DIGESTS[bytesOf(partsOf(algorithm)[0]).toString('hex')];
  if (digest === undefined) throw new Error('the certificate request is signed with an unknown algorithm');
  // The first byte of a BIT STRING counts unused bits: none.
  if (!verify(digest, der(info), publicKey, bytesOf(signature).subarray(1)))
    throw new Error('the signature of the certificate request is wrong');
  return publicKey;
}
