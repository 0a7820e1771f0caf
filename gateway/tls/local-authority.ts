import { X509Certificate, createPrivateKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { GatewayError } from '../core/gateway-error.ts';
import { readIfPresent, replaceFile } from '../config/private-file.ts';
import type { KeyFiles } from '../store/key-file.ts';

const DAY_MS = 86_400_000;
const AUTHORITY_DAYS = 3650;

/** The certificate authority of this installation, in memory. */
export interface LocalAuthority {
  readonly certificate: X509Certificate;
  readonly privateKey: KeyObject;
  /** The common name, which is the issuer name of its leaves. */
  readonly name: string;
  readonly caPem: string;
  readonly caFile: string;
  /** Whether it was made just now, so that browsers do not trust it yet. */
  readonly created: boolean;
}

/** What the authority may sign for; Node cannot read name constraints out of a certificate. */
interface AuthorityRecord {
  readonly fingerprint256: string;
  readonly permitted: readonly string[];
}

/**
 * Opens the authority in a directory, or makes one when there is none, when it is damaged, when a leaf of full life
 * would outlive it, or when it may not sign for a host. A new authority has a new name and must be trusted anew.
 *
 * @param directory already private; gets `ca.pem`, `ca.key` and `ca.json`. @param keys how its key is kept.
 * @param hosts every host of every leaf, wildcards allowed.
 * @param neededDays how much longer it must live.
 */
export async function openAuthority(
  directory: string,
  keys: KeyFiles,
  hosts: readonly string[],
  nowMs: number,
  neededDays: number,
): Promise<LocalAuthority> {
  const permitted = permittedNames(hosts);
  const existing = await readAuthority(directory, keys);
  if (existing && existing.record.permitted.length > 0) {
    const { authority, record } = existing;
    const fits = permitted.every((name) => record.permitted.some((base) => isWithin(name, base)));
    const lives = authority.certificate.validToDate.getTime() >= nowMs + neededDays * DAY_MS;
    if (fits && lives && authority.certificate.validFromDate.getTime() <= nowMs) return authority;
  }
  return await createAuthority(directory, keys, permitted, nowMs);
}

/** Names without wildcards, the narrowest set that covers all hosts. */
function permittedNames(hosts: readonly string[]): string[] {
  const names = [...new Set(hosts.map((host) => host.replace(/^\*\./, '')))];
  return names.filter((name) => !names.some((base) => base !== name && isWithin(name, base)));
}

function isWithin(name: string, base: string): boolean {
  return name === base || (isIP(base) === 0 && name.endsWith(`.${base}`));
}

async function createAuthority(
  directory: string,
  keys: KeyFiles,
  permitted: readonly string[],
  nowMs: number,
): Promise<LocalAuthority> {
  // node-forge is needed only when something is issued, and takes a while to load.
  const { issueAuthority } = await import('./issue-certificate.ts');
  const { certPem, keyPem } = issueAuthority(permitted, nowMs, AUTHORITY_DAYS);
  const certificate = new X509Certificate(certPem);
  const record: AuthorityRecord = { fingerprint256: certificate.fingerprint256, permitted };
  const caFile = join(directory, 'ca.pem');
  await keys.write(join(directory, 'ca.key'), keyPem);
  await replaceFile(join(directory, 'ca.json'), `${JSON.stringify(record)}\n`, 0o600);
  await replaceFile(caFile, certPem, 0o644);
  return assemble(certPem, keyPem, caFile, true);
}

/** `undefined` when a file is missing or the three do not belong together, as after a crash between two writes. */
async function readAuthority(
  directory: string,
  keys: KeyFiles,
): Promise<{ authority: LocalAuthority; record: AuthorityRecord } | undefined> {
  const caFile = join(directory, 'ca.pem');
  const [certPem, keyPem, json] = await Promise.all([
    readIfPresent(caFile),
    readKey(join(directory, 'ca.key'), keys),
    readIfPresent(join(directory, 'ca.json')),
  ]);
  if (certPem === undefined || keyPem === undefined || json === undefined) return undefined;
  try {
    const authority = assemble(certPem, keyPem, caFile, false);
    const record = JSON.parse(json) as AuthorityRecord;
    const belongs = authority.certificate.checkPrivateKey(authority.privateKey);
    const described = record.fingerprint256 === authority.certificate.fingerprint256;
    return belongs && described ? { authority, record } : undefined;
  } catch {
    return undefined;
  }
}

/** One that cannot be opened is as good as none: a new authority is made, and said to be new. */
export async function readKey(file: string, keys: KeyFiles): Promise<string | undefined> {
  try {
    return await keys.read(file);
  } catch (error) {
    if (error instanceof GatewayError) return undefined;
    throw error;
  }
}

function assemble(caPem: string, keyPem: string, caFile: string, created: boolean): LocalAuthority {
  const certificate = new X509Certificate(caPem);
  const name = /^CN=(.*)$/m.exec(certificate.subject)?.[1] ?? '';
  return { certificate, privateKey: createPrivateKey(keyPem), name, caPem, caFile, created };
}
