import type { X509Certificate } from 'node:crypto';

/** A client certificate, or all that a key had until a moment, taken back. */
export type Revocation = {
  readonly at_ms: number;
  /** Whose decision it was: an administrator's name, or `control socket`. */
  readonly by: string;
} & (
  | { readonly serial: string }
  /** All certificates of this key that were issued until `at_ms`. */
  | { readonly fingerprint: string }
);

/** Certificates are issued with a beginning one hour back, for clocks that are behind. */
const BACKDATED_MS = 3_600_000;

/** Whether a certificate was taken back. @param fingerprint that of its key. */
export function isRevoked(
  certificate: X509Certificate,
  fingerprint: string,
  revocations: readonly Revocation[],
): boolean {
  const serial = certificate.serialNumber.toLowerCase();
  const issuedMs = certificate.validFromDate.getTime() + BACKDATED_MS;
  return revocations.some((each) =>
    'serial' in each ? each.serial === serial : each.fingerprint === fingerprint && issuedMs <= each.at_ms,
  );
}

/** The form of a serial number as it is recorded: hexadecimal, lower case; `undefined` for anything else. */
export function readSerial(text: string): string | undefined {
  const serial = text.replaceAll(':', '').toLowerCase();
  return /^[0-9a-f]{2,40}$/.test(serial) ? serial : undefined;
}
