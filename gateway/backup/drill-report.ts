import { canonicalJson, type JsonValue } from '../core/canonical-json.ts';
import { verifySignature } from '../crypto/signing-key.ts';

/** What is read of the report that a drill left at the target; it says more. */
export interface DrillReport {
  readonly format: 1;
  /** Name of the archive. */
  readonly archive: string;
  /** Of the archive. */
  readonly sha256: string;
  readonly at_ms: number;
  /** How long it took to bring everything back: the measured recovery time. */
  readonly took_ms: number;
  /** SubjectPublicKeyInfo in base64 of the key in the archive, which only whoever opened it has. */
  readonly signer: string;
  readonly signature: string;
}

/** What the signature of a report is made over. */
export function drillText(report: object): string {
  return `zasov backup drill\n${canonicalJson(report as unknown as JsonValue)}`;
}

/**
 * Reads a report of a drill.
 *
 * @param signers public keys that are believed. @returns `undefined` when none of them has signed it.
 */
export function readDrillReport(text: string, signers: readonly string[]): DrillReport | undefined {
  const value = parse(text);
  if (value === undefined || value.format !== 1 || !signers.includes(value.signer)) return undefined;
  const { signature, ...report } = value;
  if (typeof report.archive !== 'string' || typeof report.at_ms !== 'number') return undefined;
  return verifySignature(report.signer, drillText(report), signature) ? value : undefined;
}

function parse(text: string): DrillReport | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as DrillReport) : undefined;
  } catch {
    return undefined;
  }
}
