import type { X509Certificate } from 'node:crypto';

/** Something wrong with a certificate file, for the operator. */
export interface CertificateMistake {
  readonly file: string;
  /** What is wrong. */
  readonly what: string;
  /** What to do about it. */
  readonly remedy: string;
}

const SERVER_AUTHENTICATION = '1.3.6.1.5.5.7.3.1';
const CURVES = new Set(['prime256v1', 'secp384r1', 'secp521r1']);
const RSA_BITS = 2048;

/**
 * What is wrong with one certificate by itself: dates, strength of the key, of the signature, and its purpose
 * (RFC 9325 section 4.5; CA/Browser Forum BR 6.1.5).
 *
 * @param isLeaf the server's own certificate, which must be good for servers.
 */
export function certificateMistakes(
  file: string,
  certificate: X509Certificate,
  isLeaf: boolean,
  nowMs: number,
): CertificateMistake[] {
  const name = certificate.subject.split('\n').at(-1) ?? 'the certificate';
  const found: [string, string][] = [];
  if (certificate.validToDate.getTime() <= nowMs) {
    found.push([`${name} expired on ${certificate.validToDate.toISOString()}`, 'renew it']);
  }
  if (certificate.validFromDate.getTime() > nowMs) {
    const from = certificate.validFromDate.toISOString();
    found.push([`${name} is valid only from ${from}`, 'wait, or check the clock of this machine']);
  }
  found.push(...weaknesses(certificate, name, isLeaf));
  const purposes = certificate.keyUsage as readonly string[] | undefined;
  if (isLeaf && purposes && purposes.length > 0 && !purposes.includes(SERVER_AUTHENTICATION)) {
    found.push([`${name} is not meant for servers`, 'issue it with the purpose serverAuth']);
  }
  return found.map(([what, remedy]) => ({ file, what, remedy }));
}

function weaknesses(certificate: X509Certificate, name: string, isLeaf: boolean): [string, string][] {
  const found: [string, string][] = [];
  const weakness = weakKey(certificate);
  if (weakness !== undefined) {
    found.push([
      `${name} has a weak key: ${weakness}`,
      'issue it anew with P-256 or RSA of 2048 bits or more',
    ]);
  }
  // A root's own signature is never checked by anybody, so its age does not matter.
  const isRoot = certificate.checkIssued(certificate);
  if ((isLeaf || !isRoot) && /sha-?1(?!\d)|md[245]/i.test(certificate.signatureAlgorithm ?? '')) {
    found.push([`${name} is signed with ${certificate.signatureAlgorithm}`, 'issue it anew with SHA-256']);
  }
  return found;
}

function weakKey(certificate: X509Certificate): string | undefined {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = certificate.publicKey;
  if (type === 'rsa' || type === 'rsa-pss') {
    const bits = details?.modulusLength ?? 0;
    return bits < RSA_BITS ? `RSA of ${bits} bits` : undefined;
  }
  if (type === 'ec') {
    const curve = details?.namedCurve ?? 'unknown';
    return CURVES.has(curve) ? undefined : `curve ${curve}`;
  }
  return `${type ?? 'unknown'} keys are not understood by browsers`;
}
