import { generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto';

import { type AdminAuthority, openAdminAuthority } from '../../gateway/admin/admin-authority.ts';
import type { Administrator } from '../../gateway/admin/admin.ts';
import { readKeyring } from '../../gateway/server/read-keyring.ts';
import { sealedKeyFiles } from '../../gateway/store/key-file.ts';
import { fingerprintOf, issueClientCertificate } from '../../gateway/admin/client-certificate.ts';

/** Somebody with a key of their own, perhaps one of the two. */
export interface TestAdministrator extends Administrator {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  /** The public key as it is sent: SubjectPublicKeyInfo in base64. */
  readonly spki: string;
}

/** Makes somebody with a new P-256 key. */
export function makeAdministrator(name: string): TestAdministrator {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = publicKey.export({ type: 'spki', format: 'der' }).toString('base64');
  return { name, fingerprint: fingerprintOf(publicKey), privateKey, publicKey, spki };
}

/** The authority of a data directory, whose key is sealed under the master key that lies there. */
export async function authorityOf(data: string, nowMs = Date.now()): Promise<AdminAuthority> {
  const keys = sealedKeyFiles(await readKeyring({ masterKey: undefined }, data, {}));
  return await openAdminAuthority(data, keys, nowMs);
}

/** The certificate that the authority of a data directory gives to somebody. */
export async function certify(
  { name, publicKey }: TestAdministrator,
  data: string,
  nowMs: number,
  days?: number,
): Promise<X509Certificate> {
  const authority = await authorityOf(data, nowMs);
  const request = { name, publicKey, nowMs };
  return new X509Certificate(
    issueClientCertificate(authority, days === undefined ? request : { ...request, days }),
  );
}

/** Only what a list has of somebody. */
export function listed({ name, fingerprint }: Administrator): Administrator {
  return { name, fingerprint };
}
