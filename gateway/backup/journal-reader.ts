import { GatewayError } from '../core/gateway-error.ts';
import { signerFingerprint } from '../crypto/signing-key.ts';
import type { JournalPosition } from './archive-format.ts';
import type { BackupTarget } from './backup-target.ts';
import { decryptBytes } from './decrypt.ts';
import {
  JOURNAL_FOLDER,
  type JournalHead,
  type ReadSegment,
  readSegment,
  segmentName,
  segmentNumber,
} from './journal-segment.ts';
import { type OverwrittenName, overwrittenOf } from './overwritten.ts';
import type { StoredKey } from '../store/key-store.ts';
import type { StoredRecord } from '../store/record-store.ts';

/** What one segment of a journal tells. */
export interface JournalSegment {
  readonly keys: readonly StoredKey[];
  readonly records: readonly StoredRecord[];
  readonly audit: readonly JournalHead[];
}

/** What the journal behind an archive is worth. */
export interface JournalVerdict {
  /** Whether every segment from the archive to the last one is there, whole, signed and in its place. */
  readonly intact: boolean;
  /** When the last one was made, ms since the epoch; 0 when there is none. */
  readonly through_ms: number;
  readonly last_seq: number;
  readonly last_hash: string;
  readonly problems: readonly string[];
  /** Segments that somebody wrote over or deleted in vain; of them what was there first was read. */
  readonly overwritten: readonly OverwrittenName[];
}

/** What a journal is read with. */
export interface JournalReaderOptions {
  readonly target: Pick<BackupTarget, 'list' | 'read'>;
  /** Where the archive found it. */
  readonly from: JournalPosition;
  readonly identities: readonly string[];
  /** Fingerprint of the key that it must be signed with: the archive's. */
  readonly signer?: string | undefined;
}

/** A segment is a few records; one that claims to be longer is none. */
const LONGEST_BYTES = 64 * 1024 * 1024;
/** So many problems are told in full. */
const TOLD = 20;

/**
 * Reads the journal behind an archive. Everything that can be read and is signed is given, in order, also past a gap:
 * a higher version of a key never makes a revoked one live. What the whole is worth is known at the end.
 *
 * @throws GatewayError `backup_failed` when the target cannot be asked.
 */
export function readJournal(options: JournalReaderOptions): {
  segments(): AsyncIterable<JournalSegment>;
  verdict(): JournalVerdict;
} {
  const reader = new JournalReader(options);
  return { segments: () => reader.segments(), verdict: () => reader.verdict() };
}

class JournalReader {
  readonly #options: JournalReaderOptions;
  readonly #problems: string[] = [];
  readonly #strays: { readonly name: string; readonly chain: string }[] = [];
  readonly #others: { readonly name: string; readonly seq: number; readonly atMs: number }[] = [];
  /** The chain of the archive, and those in which restores went on with it. */
  readonly #chains = new Set<string>();
  #lastSeq: number;
  #throughMs = 0;
  #overwritten: readonly OverwrittenName[] = [];
  /** Hashes of what a next segment may follow. */
  #ends: ReadonlySet<string>;

  constructor(options: JournalReaderOptions) {
    this.#options = options;
    this.#lastSeq = options.from.seq;
    this.#ends = new Set([options.from.hash]);
  }

  async *segments(): AsyncGenerator<JournalSegment> {
    const { target, from } = this.#options;
    const groups = new Map<number, string[]>();
    const objects = (await target.list(JOURNAL_FOLDER)).filter(
      ({ name }) => (segmentNumber(name) ?? -1) >= from.seq,
    );
    this.#overwritten = overwrittenOf(objects);
    for (const { name } of objects) {
      const seq = segmentNumber(name) ?? 0;
      groups.set(seq, [...(groups.get(seq) ?? []), name]);
    }
    await this.#findChain(groups.get(from.seq) ?? []);
    groups.delete(from.seq);
    for (const [seq, names] of [...groups].toSorted(([one], [other]) => one - other))
      yield* this.#group(seq, names);
    yield* this.#later();
  }

  verdict(): JournalVerdict {
    const problems = [
      ...this.#problems,
      ...this.#strays
        .filter(({ chain }) => this.#chains.has(chain))
        .map(({ name }) => `${name} does not follow the segment before it`),
    ];
    if (this.#throughMs === 0) problems.push('there is no journal behind the archive');
    const told = problems.slice(0, TOLD);
    if (problems.length > TOLD) told.push(`and ${problems.length - TOLD} more`);
    const isIntact = problems.length === 0;
    const [last_hash = ''] = this.#ends;
    return {
      intact: isIntact,
      through_ms: this.#throughMs,
      last_seq: this.#lastSeq,
      last_hash,
      problems: told,
      overwritten: this.#overwritten,
    };
  }

  /** The segment that the archive names tells which chain is meant, where a restore began another one. */
  async #findChain(names: readonly string[]): Promise<void> {
    const { seq, hash } = this.#options.from;
    if (seq === 0 || !names.includes(segmentName(seq, hash))) return;
    const found = await this.#read(segmentName(seq, hash), seq);
    if (typeof found === 'object' && found.hash === hash) {
      this.#chains.add(found.chain);
      this.#throughMs = found.atMs;
    }
  }

  async *#group(seq: number, names: readonly string[]): AsyncGenerator<JournalSegment> {
    const read: ReadSegment[] = [];
    for (const name of names) {
      const found = await this.#read(name, seq);
      if (typeof found === 'object') read.push(found);
      else this.#problems.push(`${name} ${found}`);
    }
    const isNext = seq === this.#lastSeq + 1;
    const linked = isNext ? read.filter(({ prev }) => this.#ends.has(prev)) : [];
    const ours = this.#ours(read, linked, seq);
    // All of another chain: what was before a restore, and none of this archive's business.
    if (ours.length === 0 && read.length === names.length) return;
    if (linked.length === 0) this.#problems.push(this.#gap(seq, isNext));
    else
      for (const each of ours)
        if (!linked.includes(each))
          this.#strays.push({ name: segmentName(seq, each.hash), chain: each.chain });
    this.#lastSeq = seq;
    this.#ends = new Set(ours.map(({ hash }) => hash));
    for (const each of ours) {
      this.#throughMs = Math.max(this.#throughMs, each.atMs);
      yield each;
    }
  }

  /** Those of the archive's chain, and of chains that go on with it. */
  #ours(read: readonly ReadSegment[], linked: readonly ReadSegment[], seq: number): readonly ReadSegment[] {
    const begun = new Set(linked.map(({ chain }) => chain));
    if (this.#lastSeq === 0 && begun.size > 1)
      this.#problems.push('several journals begin here, and the archive does not say which is its own');
    for (const chain of begun) this.#chains.add(chain);
    if (this.#chains.size === 0) return read;
    for (const { chain, hash, atMs } of read)
      if (!this.#chains.has(chain)) this.#others.push({ name: segmentName(seq, hash), seq, atMs });
    return read.filter(({ chain }) => this.#chains.has(chain));
  }

  /**
   * What does not follow from the archive and is later than all that does: the journal of a state that was restored
   * without all of this one. What it says is revoked is; the rest is not known.
   */
  async *#later(): AsyncGenerator<JournalSegment> {
    const throughMs = this.#throughMs;
    let isTold = false;
    for (const { name, seq } of this.#others.filter(({ atMs }) => atMs > throughMs)) {
      const found = await this.#read(name, seq);
      if (typeof found === 'string' || !tellsChanges(found)) continue;
      if (!isTold)
        this.#problems.push(
          `${name} is of a journal that another restore began later: take an archive that was made after that restore, if there is one`,
        );
      isTold = true;
      yield found;
    }
  }

  #gap(seq: number, isNext: boolean): string {
    if (isNext) return `segment ${seq} does not follow what is before it`;
    const [first, last] = [this.#lastSeq + 1, seq - 1];
    return first === last ? `segment ${first} is missing` : `segments ${first} to ${last} are missing`;
  }

  /** @returns the segment, or what is wrong with it. */
  async #read(name: string, seq: number): Promise<ReadSegment | string> {
    const { target, identities, signer } = this.#options;
    const sealed = await gather(target.read(name));
    if (sealed === undefined) return 'is longer than a segment can be';
    let text: string;
    try {
      text = Buffer.from(await decryptBytes(sealed, identities)).toString();
    } catch (error) {
      return `cannot be opened: ${error instanceof GatewayError ? error.message : 'it is damaged'}`;
    }
    const segment = readSegment(text);
    if (segment === undefined) return 'is no segment, or its signature is wrong';
    if (signer !== undefined && signerFingerprint(segment.signer) !== signer)
      return 'was signed by somebody else';
    if (segment.seq !== seq || segmentName(seq, segment.hash) !== name) return 'stands under another name';
    return segment;
  }
}

/** A gateway on a store that was emptied writes a journal too, in which nobody revoked anything. */
function tellsChanges({ keys, records }: JournalSegment): boolean {
  return keys.length > 0 || records.some(({ kind }) => kind !== 'region');
}

async function gather(body: AsyncIterable<Uint8Array>): Promise<Buffer | undefined> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body) {
    length += chunk.length;
    if (length > LONGEST_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
