import { canonicalJson, type JsonValue } from '../core/canonical-json.ts';
import { type Signer, verifySignature } from '../crypto/signing-key.ts';

/** One entry of an archive as it was written. */
export interface ManifestEntry {
  readonly path: string;
  readonly bytes: number;
  /** Hexadecimal. */
  readonly sha256: string;
}

/** Records of one kind over all their parts. */
export interface ManifestSection {
  readonly name: string;
  /** Lines. */
  readonly records: number;
  /** Over all lines in their order, hexadecimal. */
  readonly sha256: string;
}

/** The last entry of an archive: all that is in it, signed. */
export interface Manifest {
  readonly format: 1;
  /** Of the archive. */
  readonly id: string;
  readonly entries: readonly ManifestEntry[];
  readonly sections: readonly ManifestSection[];
}

/** Name of the first entry. */
export const HEAD_PATH = 'zasov.json';
/** Name of the last entry. */
export const MANIFEST_PATH = 'manifest.json';

/** Signs a manifest. @returns its text. */
export function writeManifest(manifest: Manifest, signer: Signer): string {
  return `${JSON.stringify({ ...manifest, signature: signer.sign(signedText(manifest)) })}\n`;
}

/** Reads a manifest. @returns `undefined` when it is none, or when that key has not signed it. */
export function readManifest(text: string, signer: string): Manifest | undefined {
  try {
    const { signature, ...manifest } = JSON.parse(text) as Manifest & { signature: string };
    const { format, id, entries, sections } = manifest;
    const areLists = areRows(entries, 'path', 'bytes') && areRows(sections, 'name', 'records');
    const isManifest = format === 1 && typeof id === 'string' && areLists;
    return isManifest && verifySignature(signer, signedText(manifest), signature) ? manifest : undefined;
  } catch {
    return undefined;
  }
}

/** The section that a path is a part of: `store/keys-00001.jsonl` is of `keys`. */
export function sectionOf(path: string): string | undefined {
  return /^store\/([a-z]+)-\d{5}\.jsonl$/.exec(path)?.[1];
}

function areRows(rows: unknown, name: string, count: string): boolean {
  return (
    Array.isArray(rows) &&
    rows.every((row: Record<string, unknown> | null) => {
      const isCounted = Number.isSafeInteger(row?.[count]);
      return isCounted && typeof row?.[name] === 'string' && typeof row['sha256'] === 'string';
    })
  );
}

function signedText(manifest: Manifest): string {
  return `zasov archive manifest\n${canonicalJson(manifest as unknown as JsonValue)}`;
}
