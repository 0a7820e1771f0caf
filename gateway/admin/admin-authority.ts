import { createPrivateKey, generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto';
import { join } from 'node:path';

import type { KeyFiles } from '../store/key-file.ts';
import { ensurePrivateDirectory, readIfPresent, replaceFile } from '../config/private-file.ts';
import { GatewayError } from '../core/gateway-error.ts';
import { binary, boolean, integer, namedBits, octets, oid, sequence } from '../crypto/der.ts';
import { extension, keyIdentifier, privateKeyPem, signCertificate } from '../crypto/sign-certificate.ts';

const AUTHORITY_DAYS = 3650;
const DAY_MS = 86_400_000;

/** The authority of administrators' client certificates on one node, in memory. */
export interface AdminAuthority {
  readonly certificate: X509Certificate;
  readonly privateKey: KeyObject;
  /** The common name, which is the issuer name of what it issues. */
  readonly name: string;
  readonly certPem: string;
}

/** Where the parts of the authority are, below a data directory. */
export function adminDirectory(data: string): string {
  return join(data, 'admin');
}

/**
 * Opens the authority of a data directory (`DATA/admin/ca.pem`, `ca.key` sealed), or makes it when there is
 * none or it ends within the life of a certificate. It issues client certificates only (extendedKeyUsage), so that
 * trusting it lets nobody pose as a server. Its key alone lets nobody in: certificates are pinned by their own key.
 *
 * @throws GatewayError `internal` when certificate and key do not belong together, or the key is sealed under another
 *   master key.
 */
export async function openAdminAuthority(
  data: string,
  keys: KeyFiles,
  nowMs: number,
): Promise<AdminAuthority> {
  const directory = adminDirectory(data);
  await ensurePrivateDirectory(directory);
  const found = await readAuthority(directory, keys);
  if (found !== undefined && found.certificate.validToDate.getTime() > nowMs + 120 * DAY_MS) return found;
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const certPem = selfSigned(publicKey, privateKey, nowMs);
  await keys.write(join(directory, 'ca.key'), privateKeyPem(privateKey));
  await replaceFile(join(directory, 'ca.pem'), certPem, 0o644);
  return assemble(certPem, privateKey);
}

async function readAuthority(directory: string, keys: KeyFiles): Promise<AdminAuthority | undefined> {
  const certPem = await readIfPresent(join(directory, 'ca.pem'));
  const keyPem = await keys.read(join(directory, 'ca.key'));
  // The key is written first: alone it is what a crash left, and nothing was issued with it.
  if (certPem === undefined || keyPem === undefined) return undefined;
  const authority = assemble(certPem, createPrivateKey(keyPem));
  if (authority.certificate.checkPrivateKey(authority.privateKey)) return authority;
  throw new GatewayError('internal', `${directory}: ca.pem and ca.key do not belong together`);
}

function selfSigned(publicKey: KeyObject, privateKey: KeyObject, nowMs: number): string {
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const keyId = keyIdentifier(spki);
  // Several nodes have an authority each, and clients choose by name.
  const name = `Zasov administrators ${keyId.toString('hex').slice(0, 8)}`;
  const extensions = [
    extension('2.5.29.19', true, sequence([boolean(true), integer('\0')])),
    extension('2.5.29.15', true, namedBits(0x06, 1)),
    extension('2.5.29.37', false, sequence([oid('1.3.6.1.5.5.7.3.2')])),
    extension('2.5.29.14', false, octets(binary(keyId))),
  ];
  return signCertificate(
    { name, privateKey, keyId },
    { subject: name, spki, nowMs, days: AUTHORITY_DAYS, extensions },
  );
}

function assemble(certPem: string, privateKey: KeyObject): AdminAuthority {
  const certificate = new X509Certificate(certPem);
  const name = /^CN=(.*)$/m.exec(certificate.subject)?.[1] ?? '';
  return { certificate, privateKey, name, certPem };
}
