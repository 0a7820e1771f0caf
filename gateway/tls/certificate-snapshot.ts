import { isIP } from 'node:net';
import type { TlsProfileName } from './tls-profile.ts';

/** One certificate ready to be served. */
export interface ServedCertificate {
  readonly hosts: readonly string[];
  /** Server certificate first, then intermediates. */
  readonly certPem: string;
  readonly keyPem: string;
  readonly expiresAtMs: number;
}

/**
 * All certificates of one policy set: immutable, replaced whole. A name is found by at most two look-ups however many
 * there are.
 */
export interface CertificateSnapshot {
  readonly profile: TlsProfileName;
  /** For clients that name no host or an unknown one: the first certificate of the policies. */
  readonly fallback: ServedCertificate;
  /** The certificate for a server name (RFC 6066 section 3): exact first, then a wildcard for one label. */
  find(serverName: string): ServedCertificate | undefined;
  /** One entry per host, for the metric `certificate_expiry_timestamp_seconds`. */
  readonly expiries: readonly { readonly host: string; readonly expiresAtMs: number }[];
}

/**
 * Indexes certificates by host.
 *
 * @param certificates not empty; where two name the same host the first one wins.
 */
export function certificateSnapshot(
  profile: TlsProfileName,
  certificates: readonly [ServedCertificate, ...ServedCertificate[]],
): CertificateSnapshot {
  const exact = new Map<string, ServedCertificate>();
  const wildcard = new Map<string, ServedCertificate>();
  const expiries: { host: string; expiresAtMs: number }[] = [];
  for (const certificate of certificates) {
    for (const host of certificate.hosts) {
      const name = host.toLowerCase();
      const [index, key] = name.startsWith('*.') ? [wildcard, name.slice(2)] : [exact, name];
      if (index.has(key)) continue;
      index.set(key, certificate);
      expiries.push({ host: name, expiresAtMs: certificate.expiresAtMs });
    }
  }
  return {
    profile,
    fallback: certificates[0],
    expiries,
    find(serverName) {
      const name = serverName.toLowerCase();
      const direct = exact.get(name);
      if (direct || isIP(name) !== 0) return direct;
      const dot = name.indexOf('.');
      return dot > 0 ? wildcard.get(name.slice(dot + 1)) : undefined;
    },
  };
}
