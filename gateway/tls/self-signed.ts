import { X509Certificate, createHash, createPrivateKey } from 'node:crypto';
import { chmod, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { openAuthority, readKey } from './local-authority.ts';
import type { LocalAuthority } from './local-authority.ts';
import type { KeyFiles } from '../store/key-file.ts';
import { ensurePrivateDirectory, readIfPresent, replaceFile } from '../config/private-file.ts';

const DAY_MS = 86_400_000;

/** Browsers take at most 398 days from a server certificate (CA/Browser Forum BR 6.3.2 as of 2020). */
const LEAF_DAYS = 396;
const RENEW_DAYS = 30;

/** The gateway is tried from its own machine first, by address as often as by name. */
const LOOPBACK_ADDRESSES = ['127.0.0.1', '::1'];

/** One certificate of the local authority. */
export interface SelfSignedCertificate {
  /** The hosts it was asked for, as given; the certificate also carries 127.0.0.1 and ::1. */
  readonly hosts: readonly string[];
  readonly certPem: string;
  readonly keyPem: string;
  readonly certFile: string;
  readonly keyFile: string;
  readonly expiresAtMs: number;
}

/** The local authority's part that others may know: never its key. */
export interface SelfSignedAuthority {
  readonly caFile: string;
  readonly caPem: string;
  /** SHA-256 over the certificate, as browsers show it. */
  readonly fingerprint256: string;
  /** Whether it is new, so that it has to be trusted (again). */
  readonly created: boolean;
}

/** What {@link ensureSelfSigned} is asked for. */
interface SelfSignedRequest {
  /** Usually `DATA/tls`; made with mode 0700. */
  readonly directory: string;
  /** One certificate for each list of hosts; no list is empty. */
  readonly hostLists: readonly (readonly string[])[];
  readonly nowMs: number;
  /** How private keys are kept. */
  readonly keys: KeyFiles;
}

/**
 * Makes the local authority and its server certificates, or takes the ones that are there: a certificate is kept until
 * 30 days before its end, or until its list of hosts changes. Call it again daily to renew while running. Keys are
 * P-256, sealed, mode 0600; files are replaced whole. One process at a time may call it on a directory.
 *
 * @throws the file system's error when the directory cannot be written.
 */
export async function ensureSelfSigned(
  request: SelfSignedRequest,
): Promise<{ authority: SelfSignedAuthority; certificates: SelfSignedCertificate[] }> {
  const { directory, hostLists, nowMs, keys } = request;
  await ensurePrivateDirectory(directory);
  const hosts = [...hostLists.flat(), ...LOOPBACK_ADDRESSES];
  const authority = await openAuthority(directory, keys, hosts, nowMs, LEAF_DAYS);
  const certificates: SelfSignedCertificate[] = [];
  for (const list of hostLists) certificates.push(await ensureLeaf(request, list, authority));
  await removeStrays(directory, certificates);
  const { caFile, caPem, created } = authority;
  const fingerprint256 = authority.certificate.fingerprint256;
  return { authority: { caFile, caPem, fingerprint256, created }, certificates };
}

async function ensureLeaf(
  { directory, nowMs, keys }: SelfSignedRequest,
  hosts: readonly string[],
  authority: LocalAuthority,
): Promise<SelfSignedCertificate> {
  const names = [...new Set([...hosts, ...LOOPBACK_ADDRESSES])];
  // The name holds the hosts, so that a changed list is another file and an unchanged one is found again.
  const digest = createHash('sha256').update(names.toSorted().join('\n')).digest('hex').slice(0, 16);
  const certFile = join(directory, `leaf-${digest}.pem`);
  const keyFile = join(directory, `leaf-${digest}.key`);
  const [certPem, keyPem] = [await readIfPresent(certFile), await readKey(keyFile, keys)];
  if (certPem !== undefined && keyPem !== undefined && isUsable(certPem, keyPem, authority, nowMs)) {
    await chmod(keyFile, 0o600);
    return { hosts, certPem, keyPem, certFile, keyFile, expiresAtMs: endOf(certPem) };
  }
  const { issueLeaf } = await import('./issue-certificate.ts');
  const signer = {
    name: authority.name,
    publicKey: authority.certificate.publicKey,
    privateKey: authority.privateKey,
  };
  const issued = issueLeaf(names, signer, nowMs, LEAF_DAYS);
  await keys.write(keyFile, issued.keyPem);
  await replaceFile(certFile, issued.certPem, 0o644);
  return { hosts, ...issued, certFile, keyFile, expiresAtMs: endOf(issued.certPem) };
}

function endOf(certPem: string): number {
  return new X509Certificate(certPem).validToDate.getTime();
}

function isUsable(certPem: string, keyPem: string, authority: LocalAuthority, nowMs: number): boolean {
  try {
    const certificate = new X509Certificate(certPem);
    return (
      certificate.validToDate.getTime() > nowMs + RENEW_DAYS * DAY_MS &&
      certificate.validFromDate.getTime() <= nowMs &&
      certificate.checkPrivateKey(createPrivateKey(keyPem)) &&
      certificate.verify(authority.certificate.publicKey)
    );
  } catch {
    return false;
  }
}

/** Keys that nothing uses any more are a risk without a use. */
async function removeStrays(directory: string, kept: readonly SelfSignedCertificate[]): Promise<void> {
  const wanted = new Set(kept.flatMap(({ certFile, keyFile }) => [certFile, keyFile]));
  for (const name of await readdir(directory)) {
    const file = join(directory, name);
    if (/^leaf-[0-9a-f]{16}\.(pem|key)$/.test(name) && !wanted.has(file)) await rm(file, { force: true });
  }
}
