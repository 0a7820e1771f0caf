import { readFile, stat } from 'node:fs/promises';
import type { Clock } from '../core/clock.ts';
import type { KeyFiles } from '../store/key-file.ts';
import { checkCertificate } from './certificate-check.ts';
import type { CertificateMistake } from './certificate-rules.ts';
import { certificateSnapshot } from './certificate-snapshot.ts';
import type { CertificateSnapshot, ServedCertificate } from './certificate-snapshot.ts';
import { ensureSelfSigned } from './self-signed.ts';
import type { SelfSignedAuthority } from './self-signed.ts';
import { describeTrust } from './trust-instructions.ts';
import type { TlsProfileName } from './tls-profile.ts';

/** Where a certificate comes from; the shape that the policies give. */
export type CertificateOrigin =
  | { readonly kind: 'self_signed'; readonly hosts: readonly string[] }
  | {
      readonly kind: 'files';
      readonly hosts: readonly string[];
      readonly certFile: string;
      readonly keyFile: string;
    };

/** What {@link loadCertificates} needs. */
interface CertificateRequest {
  readonly origins: readonly CertificateOrigin[];
  readonly profile: TlsProfileName;
  /** Where self-signed certificates live: `DATA/tls`. */
  readonly directory: string;
  /** How the keys of those are kept. */
  readonly keys: KeyFiles;
  readonly clock: Clock;
}

/** Either a snapshot to swap in, or every reason why there is none; then the old one stays in force. */
export type CertificateLoad =
  | {
      readonly ok: true;
      readonly snapshot: CertificateSnapshot;
      readonly warnings: readonly CertificateMistake[];
      /** When a certificate is self-signed: its authority, and a text that tells how to trust it. */
      readonly authority: (SelfSignedAuthority & { readonly howToTrust: string }) | undefined;
    }
  | { readonly ok: false; readonly mistakes: readonly CertificateMistake[] };

/**
 * Reads, checks and indexes all certificates, and makes the self-signed ones. Nothing is kept between calls, so a call
 * on reload or once a day takes up changed files and renews what is due.
 *
 * @throws the file system's error when `directory` cannot be written; everything else is a mistake in the result.
 */
export async function loadCertificates(request: CertificateRequest): Promise<CertificateLoad> {
  const { origins, profile, clock } = request;
  const nowMs = clock.now();
  const mistakes = duplicateHosts(origins);
  const warnings: CertificateMistake[] = [];
  const served: (ServedCertificate | undefined)[] = [];
  for (const origin of origins) {
    served.push(origin.kind === 'files' ? await fromFiles(origin, nowMs, mistakes, warnings) : undefined);
  }
  if (mistakes.length > 0) return { ok: false, mistakes };
  const own = await selfSigned(request, nowMs);
  const ready = origins.flatMap((origin, index) => served[index] ?? own.byOrigin.get(origin) ?? []);
  const [first, ...rest] = ready;
  if (!first) {
    const remedy = 'add an entry to tls.certificates, with self_signed: true to begin with';
    return { ok: false, mistakes: [{ file: 'tls.certificates', what: 'there is no certificate', remedy }] };
  }
  const snapshot = certificateSnapshot(profile, [first, ...rest]);
  return { ok: true, snapshot, warnings, authority: own.authority };
}

/** Every mistake as one line of text, for an error message or `zasov check`. */
export function describeMistakes(mistakes: readonly CertificateMistake[]): string {
  return mistakes.map(({ file, what, remedy }) => `${file}: ${what}; ${remedy}`).join('\n');
}

async function fromFiles(
  origin: Extract<CertificateOrigin, { kind: 'files' }>,
  nowMs: number,
  mistakes: CertificateMistake[],
  warnings: CertificateMistake[],
): Promise<ServedCertificate | undefined> {
  const { certFile, keyFile, hosts } = origin;
  const certPem = await readText(certFile, mistakes);
  const keyPem = await readText(keyFile, mistakes);
  if (certPem === undefined || keyPem === undefined) return undefined;
  const finding = checkCertificate({ certFile, certPem, keyFile, keyPem, hosts }, nowMs);
  mistakes.push(...finding.mistakes);
  warnings.push(...finding.warnings, ...(await modeWarnings(keyFile)));
  if (finding.leaf === undefined) return undefined;
  return { hosts, certPem, keyPem, expiresAtMs: finding.leaf.validToDate.getTime() };
}

async function readText(file: string, mistakes: CertificateMistake[]): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : 'unknown reason';
    const remedy = 'check the path (relative to the policy file) and its owner and mode';
    mistakes.push({ file, what: `it cannot be read (${reason})`, remedy });
    return undefined;
  }
}

async function modeWarnings(keyFile: string): Promise<CertificateMistake[]> {
  const { mode } = await stat(keyFile);
  if ((mode & 0o007) === 0) return [];
  return [{ file: keyFile, what: 'every user of this machine can read the key', remedy: 'chmod 0600' }];
}

async function selfSigned({ origins, directory, keys }: CertificateRequest, nowMs: number) {
  const byOrigin = new Map<CertificateOrigin, ServedCertificate>();
  const wanted = origins.filter((origin) => origin.kind === 'self_signed');
  if (wanted.length === 0) return { byOrigin, authority: undefined };
  const hostLists = wanted.map(({ hosts }) => hosts);
  const { authority, certificates } = await ensureSelfSigned({ directory, hostLists, nowMs, keys });
  for (const [index, origin] of wanted.entries()) {
    const certificate = certificates[index];
    if (certificate) byOrigin.set(origin, certificate);
  }
  return { byOrigin, authority: { ...authority, howToTrust: describeTrust(authority.caFile) } };
}

function duplicateHosts(origins: readonly CertificateOrigin[]): CertificateMistake[] {
  const seen = new Set<string>();
  const mistakes: CertificateMistake[] = [];
  for (const host of origins.flatMap(({ hosts }) => hosts.map((name) => name.toLowerCase()))) {
    if (seen.has(host)) {
      const what = `"${host}" has two certificates`;
      mistakes.push({ file: 'tls.certificates', what, remedy: 'leave one of them' });
    }
    seen.add(host);
  }
  return mistakes;
}
