import { generateKeyPairSync } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { isIP } from 'node:net';
import {
  type Asn1,
  binary,
  boolean,
  explicit,
  integer,
  namedBits,
  octets,
  oid,
  sequence,
  tagged,
} from '../crypto/der.ts';
import { extension, keyIdentifier, privateKeyPem, signCertificate } from '../crypto/sign-certificate.ts';
import { addressBytes } from './address-bytes.ts';

/** A certificate and its PKCS #8 key, both PEM. */
export interface IssuedCertificate {
  readonly certPem: string;
  readonly keyPem: string;
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
    certPem: signCertificate({ name, privateKey, keyId }, { subject: name, spki, nowMs, days, extensions }),
    keyPem: privateKeyPem(privateKey),
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
    certPem: signCertificate(issuer, { subject, spki, nowMs, days, extensions }),
    keyPem: privateKeyPem(privateKey),
  };
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
