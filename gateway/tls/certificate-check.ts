import { X509Certificate, createPrivateKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { isIP } from 'node:net';
import { certificateMistakes } from './certificate-rules.ts';
import type { CertificateMistake } from './certificate-rules.ts';

/** The two files of a certificate, as text. */
export interface CertificateFiles {
  readonly certFile: string;
  readonly certPem: string;
  readonly keyFile: string;
  readonly keyPem: string;
  /** Names that the certificate is to serve; each must be in its subjectAltName. */
  readonly hosts: readonly string[];
}

/** What {@link checkCertificate} found; the certificate may be used only when there are no mistakes. */
export interface CertificateFinding {
  readonly leaf: X509Certificate | undefined;
  readonly mistakes: readonly CertificateMistake[];
  /** Not wrong yet: about to expire, a root that need not be sent. */
  readonly warnings: readonly CertificateMistake[];
}

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/**
 * Checks a certificate before it is served: order of the chain, key and certificate belonging together, dates, strength
 * of keys and signatures, names. Every mistake is reported, not the first alone. It does not ask whether a browser
 * trusts the root, nor about revocation.
 */
export function checkCertificate(files: CertificateFiles, nowMs: number): CertificateFinding {
  const mistakes: CertificateMistake[] = [];
  const warnings: CertificateMistake[] = [];
  const key = readKey(files, mistakes);
  const chain = readChain(files, mistakes);
  const [leaf] = chain;
  if (leaf === undefined) return { leaf, mistakes, warnings };
  const wrong = (what: string, remedy: string): void => {
    mistakes.push({ file: files.certFile, what, remedy });
  };
  if (key && !leaf.checkPrivateKey(key)) checkOrder(files, chain, key, wrong);
  checkLinks(chain, wrong);
  for (const certificate of chain) {
    mistakes.push(...certificateMistakes(files.certFile, certificate, certificate === leaf, nowMs));
  }
  for (const host of files.hosts) {
    if (!covers(leaf, host)) {
      wrong(
        `the certificate is not for "${host}"`,
        `get one whose names include ${host}, or remove the host`,
      );
    }
  }
  warnings.push(...agingWarnings(files.certFile, leaf, nowMs));
  return { leaf, mistakes, warnings };
}

function readKey(files: CertificateFiles, mistakes: CertificateMistake[]): KeyObject | undefined {
  const wrong = (what: string, remedy: string): undefined => {
    mistakes.push({ file: files.keyFile, what, remedy });
    return undefined;
  };
  if (/ENCRYPTED/.test(files.keyPem)) {
    return wrong(
      'the key is encrypted',
      'decrypt it with "openssl pkey" and protect the file by its mode, 0600',
    );
  }
  try {
    return createPrivateKey(files.keyPem);
  } catch {
    // The parser's own message could quote key material, so it is not passed on.
    return wrong('there is no readable private key in it', 'put the PEM private key of the certificate here');
  }
}

function readChain(files: CertificateFiles, mistakes: CertificateMistake[]): X509Certificate[] {
  const blocks = files.certPem.match(PEM_CERTIFICATE) ?? [];
  const chain: X509Certificate[] = [];
  for (const [index, block] of blocks.entries()) {
    try {
      chain.push(new X509Certificate(block));
    } catch {
      const what = `certificate ${index + 1} in the file cannot be read`;
      mistakes.push({ file: files.certFile, what, remedy: 'copy the file again, whole' });
    }
  }
  if (blocks.length === 0) {
    const what = 'there is no PEM certificate in it';
    mistakes.push({
      file: files.certFile,
      what,
      remedy: 'put the server certificate and its intermediates here',
    });
  }
  return chain;
}

/** The key fits none, or one further down: then the file is in the wrong order. */
function checkOrder(
  files: CertificateFiles,
  chain: readonly X509Certificate[],
  key: KeyObject,
  wrong: (what: string, remedy: string) => void,
): void {
  const place = chain.findIndex((certificate) => certificate.checkPrivateKey(key));
  if (place === -1) {
    wrong(
      `the certificate and the key ${files.keyFile} do not belong together`,
      'use the key it was issued for',
    );
  } else {
    wrong(
      `the server certificate is number ${place + 1} in the file`,
      'put it first, then the intermediates',
    );
  }
}

function checkLinks(chain: readonly X509Certificate[], wrong: (what: string, remedy: string) => void): void {
  for (let index = 0; index + 1 < chain.length; index += 1) {
    const [certificate, issuer] = [chain[index], chain[index + 1]];
    if (!certificate || !issuer) continue;
    if (!certificate.checkIssued(issuer) || !certificate.verify(issuer.publicKey)) {
      wrong(
        `certificate ${index + 2} did not issue certificate ${index + 1}`,
        'order the file: server certificate, its issuer, then that one’s issuer',
      );
    }
  }
}

/** A wildcard host needs the same wildcard in the certificate; a plain one may be covered by a wildcard. */
function covers(leaf: X509Certificate, host: string): boolean {
  if (isIP(host) !== 0) return leaf.checkIP(host) !== undefined;
  if (!host.startsWith('*.')) return leaf.checkHost(host, { subject: 'never' }) !== undefined;
  const names = (leaf.subjectAltName ?? '').toLowerCase().split(', ');
  return names.includes(`dns:${host.toLowerCase()}`);
}

function agingWarnings(file: string, leaf: X509Certificate, nowMs: number): CertificateMistake[] {
  const days = Math.floor((leaf.validToDate.getTime() - nowMs) / 86_400_000);
  if (days < 0 || days >= 21) return [];
  return [
    {
      file,
      what: `the certificate expires in ${days} days`,
      remedy: 'renew it; the new file is taken up on reload',
    },
  ];
}
