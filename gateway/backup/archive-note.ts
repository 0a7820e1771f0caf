import { canonicalJson, type JsonValue } from '../core/canonical-json.ts';
import { type Signer, verifySignature } from '../crypto/signing-key.ts';
import type { JournalPosition } from './archive-format.ts';
import type { ArchiveKind } from './backup-progress.ts';

/** What stands beside an archive for whoever has no identity that opens it. */
export interface ArchiveNote {
  readonly format: 1;
  /** Name of the archive. */
  readonly archive: string;
  readonly id: string;
  readonly kind: ArchiveKind;
  /** Of the encrypted file. */
  readonly bytes: number;
  readonly sha256: string;
  readonly created_ms: number;
  readonly node: string;
  readonly journal: JournalPosition;
  /** SubjectPublicKeyInfo in base64. */
  readonly signer: string;
}

/** The longest note that is read, in bytes. */
export const NOTE_BYTES = 16 * 1024;

/** The name of the note of an archive. It is written last: an archive without one was never finished. */
export function noteName(archive: string): string {
  return `${archive}.json`;
}

/** Signs a note. @returns its text. */
export function writeNote(facts: Omit<ArchiveNote, 'format' | 'signer'>, signer: Signer): string {
  const note: ArchiveNote = { format: 1, ...facts, signer: signer.publicKey };
  return `${JSON.stringify({ ...note, signature: signer.sign(signedText(note)) }, undefined, 2)}\n`;
}

/**
 * Reads a note. Who signed it is for the caller to judge by `signer`.
 *
 * @returns `undefined` when it is no note of this archive, or when its signature does not hold.
 */
export function readNote(archive: string, text: string): ArchiveNote | undefined {
  const value = parse(text);
  if (value === undefined) return undefined;
  const { signature, ...note } = value;
  const isRight =
    note.format === 1 &&
    note.archive === archive &&
    typeof signature === 'string' &&
    typeof note.signer === 'string' &&
    verifySignature(note.signer, signedText(note), signature);
  return isRight ? note : undefined;
}

function parse(text: string): (ArchiveNote & { readonly signature?: unknown }) | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as ArchiveNote) : undefined;
  } catch {
    return undefined;
  }
}

function signedText(note: ArchiveNote): string {
  return `zasov archive note\n${canonicalJson(note as unknown as JsonValue)}`;
}
