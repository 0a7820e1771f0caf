import { hash } from 'node:crypto';

import { canonicalJson, type JsonValue } from '../core/canonical-json.ts';
import { GatewayError } from '../core/gateway-error.ts';
import { signerFingerprint, verifySignature } from '../crypto/signing-key.ts';
import type { StoredKey } from '../store/key-store.ts';
import type { StoredRecord } from '../store/record-store.ts';
import type { JournalPosition } from './archive-format.ts';
import type { BackupTarget } from './backup-target.ts';
import { decryptBytes } from './decrypt.ts';
import { parseKey, parseRecord } from './restore-records.ts';

/** What changed in a few seconds between two archives. */
export interface JournalSegment {
  readonly keys: readonly StoredKey[];
  readonly records: readonly StoredRecord[];
  /** Heads of the audit chains, as their files had them. */
  readonly audit: readonly { readonly name: string; readonly text: string }[];
}

/** What a journal is worth. */
export interface JournalVerdict {
  /** Whether no segment is missing, damaged, out of its place or of somebody else. */
  readonly intact: boolean;
  /** When its last segment was written. */
  readonly through_ms: number;
  readonly last_seq: number;
  readonly problems: readonly string[];
}

/** Where a journal is and whose it must be. */
export interface JournalPlace {
  readonly target: BackupTarget;
  /** The last segment that the archive has already. */
  readonly from: JournalPosition;
  readonly identities: readonly string[];
  /** Fingerprint of the key that every segment must be signed with. */
  readonly signer: string;
}

/** A segment as it is written: base64 for bytes, as in an archive. */
export interface WrittenSegment {
  readonly format: 1;
  readonly seq: number;
  /** SHA-256 of the text of the segment before, hexadecimal; empty in the first. */
  readonly prev: string;
  readonly at_ms: number;
  readonly keys: readonly unknown[];
  readonly records: readonly unknown[];
  readonly audit: readonly { readonly name: string; readonly text: string }[];
  /** SubjectPublicKeyInfo in base64. */
  readonly signer: string;
  readonly signature: string;
}

const NAME = /^journal\/(\d{12})-[0-9a-z]{8}\.age$/;

/** What the signature of a segment is made over. */
export function segmentText(segment: Omit<WrittenSegment, 'signature'>): string {
  return `zasov journal segment\n${canonicalJson(segment as unknown as JsonValue)}`;
}

/**
 * Reads the segments behind an archive in their order. What can be read is given, whatever else is wrong: the verdict,
 * which is whole at the end, says whether it was everything.
 *
 * @throws GatewayError `backup_failed` when the target cannot be read.
 */
export function readJournal(place: JournalPlace): {
  segments(): AsyncGenerator<JournalSegment>;
  verdict(): JournalVerdict;
} {
  const reading = new JournalReading(place);
  return { segments: () => reading.segments(), verdict: () => reading.verdict };
}

class JournalReading {
  readonly #place: JournalPlace;
  readonly #problems: string[] = [];
  /** Hashes of the segments of the last number: two processes may have written one each, and one of them goes on. */
  #hashes: string[];
  #seq: number;
  #throughMs = 0;
  #count = 0;

  constructor(place: JournalPlace) {
    this.#place = place;
    this.#hashes = [place.from.hash];
    this.#seq = place.from.seq;
  }

  get verdict(): JournalVerdict {
    const problems =
      this.#count === 0 ? [...this.#problems, 'there is no journal behind the archive'] : this.#problems;
    return { intact: problems.length === 0, through_ms: this.#throughMs, last_seq: this.#seq, problems };
  }

  async *segments(): AsyncGenerator<JournalSegment> {
    const { target, from } = this.#place;
    const before: string[] = [];
    for (const { name } of await target.list('journal/')) {
      const seq = Number(NAME.exec(name)?.[1] ?? 0);
      if (seq <= from.seq) continue;
      this.#count += 1;
      if (seq > this.#seq + 1)
        this.#problems.push(`${missing(this.#seq + 1, seq - 1)} of the journal missing`);
      if (seq > this.#seq) before.splice(0, before.length, ...this.#hashes);
      const read = await this.#read(name, seq, seq > this.#seq + 1 ? undefined : before);
      if (seq > this.#seq) this.#hashes = [];
      this.#seq = seq;
      if (read === undefined) continue;
      this.#hashes.push(read.hash);
      this.#throughMs = Math.max(this.#throughMs, read.segment.at_ms);
      yield {
        keys: read.segment.keys.map(parseKey),
        records: read.segment.records.map(parseRecord),
        audit: read.segment.audit,
      };
    }
  }

  async #read(name: string, seq: number, before: readonly string[] | undefined) {
    try {
      const text = await this.#textOf(name);
      const segment = JSON.parse(text) as WrittenSegment;
      const doubt = this.#doubt(segment, seq, before);
      if (doubt === undefined) return { segment, hash: hash('sha256', text, 'hex') };
      this.#problems.push(`${name} ${doubt}`);
    } catch (error) {
      if (error instanceof GatewayError && error.code === 'backup_failed') throw error;
      this.#problems.push(
        `${name} cannot be read: ${error instanceof Error ? error.message : String(error)}`,
      );
    }
    return undefined;
  }

  #doubt(segment: WrittenSegment, seq: number, before: readonly string[] | undefined): string | undefined {
    const { signature, ...rest } = segment;
    const isOurs = signerFingerprint(rest.signer) === this.#place.signer;
    if (!isOurs || !verifySignature(rest.signer, segmentText(rest), signature))
      return 'is not signed by the gateway of the archive';
    if (rest.seq !== seq) return `is another one: ${rest.seq}`;
    const follows = before === undefined || before.includes(rest.prev);
    return follows ? undefined : 'does not follow the one before it';
  }

  async #textOf(name: string): Promise<string> {
    const { target, identities } = this.#place;
    const chunks: Uint8Array[] = [];
    for await (const chunk of target.read(name)) chunks.push(chunk);
    return Buffer.from(await decryptBytes(Buffer.concat(chunks), identities)).toString();
  }
}

function missing(from: number, to: number): string {
  return from === to ? `segment ${from} is` : `segments ${from} to ${to} are`;
}
