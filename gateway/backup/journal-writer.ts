import type { Clock } from '../core/clock.ts';
import type { Signer } from '../crypto/signing-key.ts';
import type { KeyStore, StoredKey } from '../store/key-store.ts';
import type { RecordKind, RecordStore, StoredRecord } from '../store/record-store.ts';
import type { JournalPosition } from './archive-format.ts';
import type { BackupTarget } from './backup-target.ts';
import { encryptBytes } from './encrypt.ts';
import { JournalHold, type JournalHoldOptions, type JournalPlace } from './journal-place.ts';
import { oneChunk } from './one-chunk.ts';
import { type JournalHead, JOURNALED_KINDS, segmentName, writeSegment } from './journal-segment.ts';

/** What a journal is written from, and to. */
export interface JournalWriterOptions extends JournalHoldOptions {
  readonly target: BackupTarget;
  readonly recipients: readonly string[];
  readonly signer: Signer;
  readonly keys: Pick<KeyStore, 'changes'>;
  readonly records: RecordStore;
  readonly clock: Clock;
  /** The ends of the audit chains of this node. */
  heads(): Promise<readonly JournalHead[]>;
}

/** A segment is written after so long, whether anything changed or not: so a journal that was cut off is seen. */
const HEARTBEAT_MS = 60_000;
/** Ends of audit chains move all the time; they wait so long for something else to go with. */
const HEADS_MS = 4000;
/** Records are looked at after so long, whether anybody told of a change or not. */
const LOOK_MS = 10_000;

interface Findings {
  readonly keys: readonly StoredKey[];
  readonly cursor: string;
  readonly records: readonly StoredRecord[];
  readonly audit: readonly JournalHead[];
}

interface WrittenSegment {
  readonly seq: number;
  readonly hash: string;
  readonly found: Findings;
  readonly atMs: number;
}

/**
 * Writes every revocation, rotation, approval and end of an audit chain to the target within seconds, between the
 * archives. One of the gateways that share a store does; another one takes over when it falls silent, and goes on from
 * where the record in the store says. What cannot be written waits in the store and comes later, in order.
 */
export class JournalWriter {
  readonly #options: JournalWriterOptions;
  readonly #hold: JournalHold;
  readonly #written = new Map<string, number>();
  readonly #heads = new Map<string, string>();
  readonly #forget: () => void;
  #mustLook = true;
  #lookedMs = Number.NEGATIVE_INFINITY;
  #headsMs = Number.NEGATIVE_INFINITY;
  #segmentMs = Number.NEGATIVE_INFINITY;
  #throughMs: number;
  /** A segment that is at the target, while the store could not yet take that it is. */
  #unrecorded: WrittenSegment | undefined;
  #running: Promise<void> | undefined;
  #isClosed = false;

  constructor(options: JournalWriterOptions) {
    this.#options = options;
    this.#hold = new JournalHold(options);
    this.#throughMs = options.clock.now();
    this.#forget = options.records.onChange((kind) => {
      if (kind === undefined || JOURNALED_KINDS.includes(kind)) this.#mustLook = true;
    });
  }

  /** How far the target is behind what happened, in milliseconds; `undefined` where another gateway writes. */
  get lagMs(): number | undefined {
    return this.#hold.place === undefined ? undefined : this.#options.clock.now() - this.#throughMs;
  }

  /**
   * Called about once a second; calls that come while one runs share it, after {@link close} nothing is done.
   *
   * @throws GatewayError of store or target.
   */
  async tick(): Promise<void> {
    if (this.#isClosed) return;
    this.#running ??= this.#tick().finally(() => (this.#running = undefined));
    await this.#running;
  }

  /** Where the journal stands, whoever writes it: taken before a snapshot, what is in it need not be replayed. */
  async position(): Promise<JournalPosition> {
    const { seq = 0, hash = '' } = (await this.#hold.read()) ?? {};
    return { seq, hash };
  }

  /** Stops listening, waits for a segment that is being written, and lets others write. Never rejects. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#forget();
    await this.#running?.catch(() => undefined);
    await this.#hold.release().catch(() => undefined);
  }

  async #tick(): Promise<void> {
    if (!(await this.#takeUp())) return;
    for (let isMore = true; isMore;) {
      const { place } = this.#hold;
      if (place === undefined) return;
      const nowMs = this.#options.clock.now();
      const found = await this.#find(place, nowMs);
      const isWorth = found.keys.length + found.records.length > 0 || this.#mayGo(found.audit, nowMs);
      if (isWorth || nowMs - this.#segmentMs >= HEARTBEAT_MS) {
        if (!(await this.#writeSegment(place, found, nowMs))) return;
      } else if (!(await this.#hold.renew(nowMs))) return;
      isMore = found.keys.length > 0 && found.cursor !== place.cursor;
      this.#throughMs = nowMs;
    }
  }

  /** Takes the journal over when it is free. @returns whether it is this process's to write on. */
  async #takeUp(): Promise<boolean> {
    const wasHeld = this.#hold.place !== undefined;
    if (!(await this.#hold.take())) return false;
    if (!wasHeld) this.#begin();
    // Once more and not another one of the same number, or a store that is full would fill the target.
    return this.#unrecorded === undefined || (await this.#record(this.#unrecorded));
  }

  /** What somebody else wrote before is not known here, so all that there is goes once more. */
  #begin(): void {
    this.#throughMs = this.#hold.place?.throughMs || this.#options.clock.now();
    this.#written.clear();
    this.#heads.clear();
    this.#mustLook = true;
    this.#unrecorded = undefined;
    this.#segmentMs = Number.NEGATIVE_INFINITY;
  }

  async #find(place: JournalPlace, nowMs: number): Promise<Findings> {
    const { keys: store, records } = this.#options;
    const { keys, cursor } = await store.changes(place.cursor);
    // Where nobody pushes, this is how changes of other processes are heard of.
    records.isFresh();
    const isDue = this.#mustLook || nowMs - this.#lookedMs >= LOOK_MS;
    return {
      keys: keys.filter(({ lineage, version }) => this.#written.get(`key ${lineage}`) !== version),
      cursor,
      records: isDue ? await this.#findRecords(nowMs) : [],
      audit: (await this.#options.heads()).filter(({ name, text }) => this.#heads.get(name) !== text),
    };
  }

  async #findRecords(nowMs: number): Promise<StoredRecord[]> {
    this.#mustLook = false;
    this.#lookedMs = nowMs;
    const found: StoredRecord[] = [];
    for (const kind of JOURNALED_KINDS)
      for (const record of await this.#options.records.list(kind))
        if (this.#written.get(recordName(record.kind, record.id)) !== record.version) found.push(record);
    return found;
  }

  #mayGo(heads: readonly JournalHead[], nowMs: number): boolean {
    return heads.length > 0 && nowMs - this.#headsMs >= HEADS_MS;
  }

  async #writeSegment(place: JournalPlace, found: Findings, nowMs: number): Promise<boolean> {
    const { signer, recipients, target } = this.#options;
    const { keys, records, audit } = found;
    const seq = place.seq + 1;
    const content = { chain: place.chain, seq, prev: place.hash, atMs: nowMs, keys, records, audit };
    const { text, hash } = writeSegment(content, signer);
    try {
      await target.put(segmentName(seq, hash), oneChunk(await encryptBytes(Buffer.from(text), recipients)));
      this.#unrecorded = { seq, hash, found, atMs: nowMs };
      return await this.#record(this.#unrecorded);
    } catch (error) {
      // They wait: whatever was looked at counts as not written.
      this.#mustLook = true;
      throw error;
    }
  }

  /** Puts a segment that is at the target on record. @returns `false` when another one took over. */
  async #record({ seq, hash, found, atMs }: WrittenSegment): Promise<boolean> {
    const isOurs = await this.#hold.move({ seq, hash, cursor: found.cursor, throughMs: atMs });
    this.#unrecorded = undefined;
    if (isOurs) this.#remember(found, atMs);
    return isOurs;
  }

  #remember({ keys, records, audit }: Findings, nowMs: number): void {
    this.#segmentMs = nowMs;
    for (const { kind, id, version } of records) this.#written.set(recordName(kind, id), version);
    // On Redis the last seconds are looked at again; so many keys are enough to tell them from new ones.
    for (const name of this.#written.keys()) {
      if (this.#written.size <= REMEMBERED) break;
      if (name.startsWith('key ')) this.#written.delete(name);
    }
    for (const { lineage, version } of keys) this.#written.set(`key ${lineage}`, version);
    for (const { name, text } of audit) this.#heads.set(name, text);
    if (audit.length > 0) this.#headsMs = nowMs;
  }
}

const REMEMBERED = 20_000;

function recordName(kind: RecordKind, id: string): string {
  return `${kind}/${id}`;
}
