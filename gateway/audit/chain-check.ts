import type { TrailVerifier } from './audit-keys.ts';
import {
  type AuditRecord,
  bodyText,
  GENESIS,
  hashOf,
  isCheckpoint,
  parseLine,
  signedText,
} from './audit-record.ts';
import type { RestoredClaim } from './restored-chains.ts';
import type { TrailFile, TrailLine } from './trail-file.ts';
import type { HeadReading, TrailHead } from './trail-head.ts';
import type { ProblemKind, TrailGap, TrailProblem, WriterReport } from './trail-report.ts';

interface Gap {
  from: number;
  to: number;
  readonly file: string;
  readonly line: number;
}

/** Why a head vouches for nothing. */
const HEADS: Readonly<Record<string, string>> = {
  missing: 'the signed head is gone',
  damaged: 'the signed head is damaged',
  unknown_key: 'the signed head is under a key that is not at hand',
};

/** What a file ends with that is no whole line. */
export interface Remains {
  readonly file: string;
  readonly line: number;
  readonly bytes: number;
  readonly sha256: string;
}

/** Follows the chain of one writer from its first record to its last and writes down whatever does not fit. */
export class ChainCheck {
  readonly problems: TrailProblem[] = [];
  readonly writer: string;
  readonly #keys: TrailVerifier;
  /** Hashes that others vouch for, by sequence number: the head's, and those that other writers saw. */
  readonly #claims: ReadonlyMap<number, { readonly hash: string; readonly by: string }[]>;
  #expected = 1;
  /** `undefined` behind a record whose own hash cannot be believed. */
  #prev: string | undefined = GENESIS;
  #unreadable = 0;
  #gaps: Gap[] = [];
  #remains: Remains | undefined;
  #lastEvent: string | undefined;
  #isUnderWay = false;
  #restored: RestoredClaim | undefined;
  #signedSeq = 0;
  #unproven: { file: string; line: number; seq: number; isMacGood: boolean }[] = [];
  #last: { file: string; line: number } | undefined;
  #facts = { files: 0, records: 0, checkpoints: 0, crashes: 0, lost: 0 };
  #times: { first: string | undefined; last: string | undefined } = { first: undefined, last: undefined };

  constructor(
    writer: string,
    keys: TrailVerifier,
    claims: ReadonlyMap<number, { readonly hash: string; readonly by: string }[]>,
  ) {
    this.writer = writer;
    this.#keys = keys;
    this.#claims = claims;
  }

  get report(): WriterReport {
    return { writer: this.writer, ...this.#facts, ...this.#times };
  }

  /** What is missing behind the record that came back from a backup, and is accounted for. */
  get gap(): TrailGap | undefined {
    const restored = this.#restored;
    if (restored === undefined || !this.#endsRestored()) return undefined;
    const { writer, archive, time, seq } = restored;
    const to = Math.max(restored.through, ...this.#claims.keys());
    return { writer, from: seq + 1, to: to > seq ? to : undefined, archive, restored: time };
  }

  /** A signed record of another chain says that this one came back from a backup, and how far. */
  takeRestored(claim: RestoredClaim | undefined): void {
    this.#restored = claim;
  }

  beginFile(file: TrailFile): void {
    this.#facts.files += 1;
    this.#last ??= { file: file.name, line: 0 };
  }

  takeLine(file: TrailFile, line: TrailLine): void {
    const place = { file: file.name, line: line.number };
    const record = parseLine(line.text);
    this.#checkRemains(record, place);
    if (record === undefined) {
      this.#unreadable += 1;
      this.#prev = undefined;
      this.#find('edited', place, 'this line is no record', undefined);
      return;
    }
    this.#facts.records += 1;
    this.#last = place;
    this.#takeRecord(record, place);
  }

  /** A file ended in the middle of a line. Whether a crash explains it, the next record says. */
  takeRemains(remains: Remains): void {
    this.#remains = remains;
  }

  /** Draws the sum. @param head the signed head. @param isWriting whether the writer wrote on meanwhile. */
  finish(head: HeadReading, isWriting: boolean): void {
    this.#isUnderWay = isWriting;
    for (const { from, to, file, line } of this.#gaps)
      this.#find('removed', { file, line }, 'missing before this line', from, to);
    if (head.kind === 'good') this.#checkHead(head.head);
    // Whoever restored the chain vouches for its end as its head would.
    else if (!this.#endsRestored())
      this.#find(
        'missing',
        this.#last,
        `nobody knows whether the end is missing: ${HEADS[head.kind]}`,
        this.#expected - 1,
      );
    this.#checkClaimed();
    this.#checkProof();
  }

  #takeRecord(record: AuditRecord, place: { file: string; line: number }): void {
    const isIntact = hashOf(record) === record.hash;
    if (!isIntact) {
      this.#find('edited', place, 'its hash is another', record.seq);
      if (record.seq !== this.#expected) this.#unreadable += 1;
      else this.#expected += 1;
      this.#prev = undefined;
      return;
    }
    if (record.writer !== this.writer)
      this.#find('replaced', place, `it is of writer ${record.writer}`, record.seq);
    if (!this.#takePlace(record, place)) return;
    this.#checkKeys(record, place);
    this.#checkWord(record, place);
    this.#note(record);
  }

  /** Where the record stands in the chain. @returns whether it stands behind all that came before. */
  #takePlace({ seq, prev, hash }: AuditRecord, place: { file: string; line: number }): boolean {
    if (seq < this.#expected) {
      const gap = this.#gaps.find(({ from, to }) => from <= seq && seq <= to);
      if (gap === undefined) this.#find('duplicated', place, 'this number stands a second time', seq);
      else {
        this.#fill(gap, seq);
        this.#find('reordered', place, 'it stands behind later records', seq);
      }
      return false;
    }
    const skipped = seq - this.#expected;
    if (skipped > this.#unreadable) {
      this.#gaps.push({ from: this.#expected + this.#unreadable, to: seq - 1, ...place });
    } else if (skipped === this.#unreadable && this.#prev !== undefined && prev !== this.#prev)
      this.#find('replaced', place, 'it does not follow the record before it', seq);
    this.#unreadable = 0;
    this.#expected = seq + 1;
    this.#prev = hash;
    return true;
  }

  #fill(gap: Gap, seq: number): void {
    const rest = [
      { ...gap, to: seq - 1 },
      { ...gap, from: seq + 1 },
    ].filter(({ from, to }) => from <= to);
    this.#gaps = [...this.#gaps.filter((each) => each !== gap), ...rest];
  }

  #checkKeys(record: AuditRecord, place: { file: string; line: number }): void {
    const { seq } = record;
    const mac = this.#keys.checkMac(bodyText(record), record.mac);
    if (mac === 'bad') this.#find('forged', place, 'its code was made without the master key', seq);
    this.#unproven.push({ ...place, seq, isMacGood: mac === 'good' });
    if (!isCheckpoint(record)) return;
    const { key = '', signature = '' } = record.facts;
    const check = this.#keys.checkSignature(String(key), signedText(record), String(signature));
    if (check === 'bad')
      this.#find('forged', place, `its signature is bad: look after record ${this.#signedSeq}`, seq);
    if (check !== 'good') return;
    this.#facts.checkpoints += 1;
    this.#proven(seq);
  }

  /** A good signature covers everything before it, because the records are a chain. */
  #proven(seq: number): void {
    this.#signedSeq = seq;
    this.#unproven = [];
  }

  #checkWord({ seq, hash }: AuditRecord, place: { file: string; line: number }): void {
    for (const claim of this.#claims.get(seq) ?? [])
      if (claim.hash !== hash) this.#find('replaced', place, `${claim.by} has another record here`, seq);
  }

  #note({ event, time, facts }: AuditRecord): void {
    this.#times.first ??= time;
    this.#times.last = time;
    // Whoever leaves in order says so; a first start follows nobody.
    const isFollowing = event === 'trail.opened' && facts['first'] !== true && facts['resumed'] !== true;
    if (isFollowing && this.#lastEvent !== 'trail.closed') this.#facts.crashes += 1;
    this.#lastEvent = event;
    if (event === 'trail.gap') this.#facts.lost += Number(facts['lost']);
  }

  /** What a file ends with must be what the next start found there. */
  #checkRemains(record: AuditRecord | undefined, place: { file: string; line: number }): void {
    const left = this.#remains;
    this.#remains = undefined;
    const told = record?.event === 'trail.opened' ? record.facts : {};
    if (left === undefined) {
      if (told['remains'] !== undefined && place.line === 1)
        this.#find('edited', place, 'the cut line that this start found before it is gone', record?.seq);
    } else if (told['remains'] !== left.bytes || told['remains_sha256'] !== left.sha256)
      this.#find('edited', left, 'a line without an end that no start has found there', undefined);
    this.#checkStart(told, place, record?.seq);
  }

  /** What a start found out of order stays a finding, however well the chain goes on. */
  #checkStart(
    { damage, head }: AuditRecord['facts'],
    place: { file: string; line: number },
    seq: number | undefined,
  ): void {
    if (damage !== undefined) this.#find('missing', place, String(damage), seq);
    else if (head !== undefined) {
      const says = `this start could not check the end before it: ${HEADS[String(head)] ?? ''}`;
      this.#find('missing', place, says, seq);
    }
  }

  #checkHead({ seq, file }: TrailHead): void {
    const last = this.#expected - 1;
    if (seq > last) {
      const where = this.#last ?? { file, line: 0 };
      this.#find('truncated', where, 'the signed head has more records', last + 1, seq);
    } else {
      this.#signedSeq = Math.max(this.#signedSeq, seq);
      this.#unproven = this.#unproven.filter((each) => each.seq > seq);
    }
  }

  #endsRestored(): boolean {
    return this.#restored?.seq === this.#expected - 1;
  }

  #checkClaimed(): void {
    if (this.#endsRestored()) {
      this.#signedSeq = Math.max(this.#signedSeq, this.#expected - 1);
      this.#unproven = [];
      return;
    }
    for (const [seq, claims] of this.#claims) {
      const other = claims.find(({ by }) => by !== 'the signed head');
      if (seq >= this.#expected && other !== undefined)
        this.#find('truncated', this.#last, `${other.by} has seen this record`, seq);
    }
  }

  #checkProof(): void {
    if (this.#isUnderWay) return;
    for (const { file, line, seq, isMacGood } of this.#unproven)
      if (!isMacGood)
        this.#find('unsigned', { file, line }, 'no signature covers it and its code cannot be checked', seq);
  }

  #find(
    kind: ProblemKind,
    place: { readonly file: string; readonly line: number } | undefined,
    says: string,
    seq: number | undefined,
    to = seq,
  ): void {
    const { file, line } = place ?? {};
    this.problems.push({ kind, writer: this.writer, file, line, seq, to: to === seq ? undefined : to, says });
  }
}
