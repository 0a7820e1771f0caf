import { generateKeyPairSync, type KeyObject, randomBytes, X509Certificate } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';

import { openAdminAuthority } from '../admin/admin-authority.ts';
import { readCertificateRequest } from '../admin/certificate-request.ts';
import { fingerprintOf, issueClientCertificate } from '../admin/client-certificate.ts';
import { packPkcs12 } from '../admin/pkcs12.ts';
import { replaceFile } from '../config/private-file.ts';
import { sealedKeyFiles } from '../store/key-file.ts';
import { PLAIN_NAME } from '../policy/name-schema.ts';
import { offlineKeyring } from './offline-keyring.ts';
import { UsageError } from './usage-error.ts';

/** What `zasov admins enrol` was asked. */
interface EnrolRequest {
  readonly name: string;
  /** The data directory with the authority; made when missing, so that it works before any gateway runs. */
  readonly data: string;
  /** Where the policies say which master key seals the authority's key; there need not be any yet. */
  readonly policies: string;
  /** Where the files go. */
  readonly out: string;
  /** A certificate request (or public key) whose private key stays where it is. */
  readonly csr?: string | undefined;
}

/** Somebody with a certificate, and where the files are. */
export interface Enrolment {
  readonly name: string;
  /** `sha256:` and the fingerprint of the key. */
  readonly certificate: string;
  readonly expires_at: string;
  /** The line for the policy. */
  readonly policy: string;
  readonly cert_file: string;
  readonly key_file?: string;
  readonly pkcs12_file?: string;
  readonly pkcs12_password?: string;
}

/**
 * `zasov admins enrol NAME`: makes a key and a client certificate of the admin authority, or the certificate alone for
 * a key that stays on its owner's machine. It lets nobody in: the policy, and later both administrators, decide whose
 * key is pinned.
 *
 * @returns 0. @throws as {@link makeEnrolment}.
 */
export async function enrol(request: EnrolRequest & { readonly json: boolean }): Promise<number> {
  const enrolment = await makeEnrolment(request);
  process.stdout.write(`${request.json ? JSON.stringify(enrolment) : describe(enrolment)}\n`);
  return 0;
}

/**
 * Makes the files.
 *
 * @throws UsageError; Error when a file of that name is there already.
 */
export async function makeEnrolment(request: EnrolRequest): Promise<Enrolment> {
  const { name, data, policies, out, csr } = request;
  if (!PLAIN_NAME.pattern.test(name))
    throw new UsageError(`${PLAIN_NAME.not}. Allowed: ${PLAIN_NAME.allowed}`);
  const nowMs = Date.now();
  const keys = sealedKeyFiles(await offlineKeyring(policies, data));
  const authority = await openAdminAuthority(data, keys, nowMs);
  await mkdir(out, { recursive: true });
  const file = (ending: string) => join(out, `${name.replaceAll(' ', '-')}.${ending}`);
  const names = csr === undefined ? ['key', 'pem', 'p12'] : ['pem'];
  for (const ending of names)
    if (existsSync(file(ending))) throw new Error(`${file(ending)} is there already; name another --out`);
  const pair = csr === undefined ? generateKeyPairSync('ec', { namedCurve: 'P-256' }) : undefined;
  const publicKey = pair?.publicKey ?? readCertificateRequest(readFileSync(csr ?? '', 'utf8'));
  const certPem = issueClientCertificate(authority, { name, publicKey, nowMs });
  const password = pair && (await writeKey(pair.privateKey, certPem, authority.certPem));
  await replaceFile(file('pem'), certPem, 0o644);
  await replaceFile(join(out, 'admin-ca.pem'), authority.certPem, 0o644);
  const fingerprint = `sha256:${fingerprintOf(publicKey)}`;
  return {
    name,
    certificate: fingerprint,
    expires_at: new X509Certificate(certPem).validToDate.toISOString(),
    policy: `- { name: ${name}, certificate: "${fingerprint}" }`,
    cert_file: file('pem'),
    ...(password === undefined
      ? {}
      : { key_file: file('key'), pkcs12_file: file('p12'), pkcs12_password: password }),
  };

  async function writeKey(privateKey: KeyObject, ...chain: string[]): Promise<string> {
    // 100 bits, in groups that can be typed.
    const secret = (randomBytes(13).toString('hex').slice(0, 25).match(/.{5}/g) ?? []).join('-');
    await replaceFile(file('key'), privateKey.export({ type: 'pkcs8', format: 'pem' }), 0o600);
    await replaceFile(file('p12'), packPkcs12(privateKey, chain, secret, `Zasov ${name}`), 0o600);
    return secret;
  }
}

function describe(facts: Enrolment): string {
  const lines = [`certificate  ${facts.cert_file}, until ${facts.expires_at}`];
  if (facts.key_file !== undefined)
    lines.push(
      `key          ${facts.key_file} (readable by this user alone; hand it over and delete it here)`,
      `for browsers ${facts.pkcs12_file ?? ''}, password ${facts.pkcs12_password ?? ''} (shown this once)`,
    );
  return [...lines, 'the line for the policy, under "admins:":', `  ${facts.policy}`].join('\n');
}
