import { randomBytes } from 'node:crypto';

import type { Clock } from '../core/clock.ts';
import type { SealedBox } from '../crypto/sealed-box.ts';
import type { RecordStore, StoredRecord } from '../store/record-store.ts';
import type { JournalPosition } from './archive-format.ts';

/** How far the journal has come, and who writes it. */
export interface JournalPlace extends JournalPosition {
  readonly chain: string;
  /** Where the store's changes are gone on with; `undefined` before the first look. */
  readonly cursor: string | undefined;
  /** Everything up to then is at the target, ms since the epoch. */
  readonly throughMs: number;
  /** Empty when nobody writes. */
  readonly holder: string;
}

/** Where {@link JournalHold} keeps its record. */
export interface JournalHoldOptions {
  readonly records: Pick<RecordStore, 'read' | 'write'>;
  /** Seals the record, so that whoever reaches the store cannot have changes left out. */
  readonly box: SealedBox;
  readonly clock: Clock;
  /** Whether no other gateway shares the store: then nobody has to be waited for. */
  readonly isAlone: boolean;
}

/** The record, of the kind `lease`. A restore makes it anew. */
const JOURNAL_RECORD = 'backup-journal';

/** A holder whose record did not change for so long is dead. It changes it three times in that time. */
const SILENT_MS = 9000;
const RENEW_MS = 3000;

/**
 * The record with which a restored state goes on with the journal that it was restored from, under another name of the
 * chain: then an archive from before the restore is followed by what was revoked after it too.
 *
 * @param end the last segment that was replayed. @param cursor where the changes of the restored keys begin.
 * @param nowMs also the version: above any that a gateway may know which does not know of the restore yet.
 */
export function journalAfterRestore(
  box: SealedBox,
  end: JournalPosition,
  { cursor, throughMs, nowMs }: Pick<JournalPlace, 'cursor' | 'throughMs'> & { readonly nowMs: number },
): StoredRecord {
  const place: JournalPlace = { ...end, chain: newChain(), cursor, throughMs, holder: '' };
  return { kind: 'lease', id: JOURNAL_RECORD, version: nowMs, body: sealPlace(box, place) };
}

function newChain(): string {
  return randomBytes(9).toString('base64url');
}

function sealPlace(box: SealedBox, place: JournalPlace): Uint8Array {
  return box.seal(Buffer.from(JSON.stringify(place)), JOURNAL_RECORD);
}

/**
 * One record in the store says how far the journal has come and who writes it. It is changed by comparing its version
 * only: a writer that was paused while another took over finds that out before its next segment counts.
 */
export class JournalHold {
  readonly #options: JournalHoldOptions;
  readonly #me = randomBytes(9).toString('base64url');
  #held: { readonly version: number; readonly place: JournalPlace; readonly writtenMs: number } | undefined;
  #seen = { version: -1, sinceMs: 0 };

  constructor(options: JournalHoldOptions) {
    this.#options = options;
  }

  /** Where this process writes on; `undefined` while another one writes. */
  get place(): JournalPlace | undefined {
    return this.#held?.place;
  }

  /** Reads how far the journal has come, whoever writes it. @throws `store_unavailable`. */
  async read(): Promise<JournalPlace | undefined> {
    return (await this.#read()).place;
  }

  /** Takes the journal over when nobody writes it. @returns whether it is this process's. @throws `store_unavailable`. */
  async take(): Promise<boolean> {
    if (this.#held !== undefined) return true;
    const nowMs = this.#options.clock.now();
    const { version, place } = await this.#read();
    if (version !== this.#seen.version) this.#seen = { version, sinceMs: nowMs };
    const isSilent = this.#options.isAlone || nowMs - this.#seen.sinceMs >= SILENT_MS;
    if (place !== undefined && place.holder !== '' && !isSilent) return false;
    const start = place ?? { chain: newChain(), seq: 0, hash: '', cursor: undefined };
    const taken = { throughMs: 0, ...start, holder: this.#me };
    return await this.#write(version + 1, taken);
  }

  /** Puts on record how far it has come. @returns `false` when another one took over. @throws `store_unavailable`. */
  async move(change: Partial<JournalPlace>): Promise<boolean> {
    const held = this.#held;
    return held !== undefined && (await this.#write(held.version + 1, { ...held.place, ...change }));
  }

  /** Says that the writer lives, when it is time to. @returns as {@link move}. @throws `store_unavailable`. */
  async renew(throughMs: number): Promise<boolean> {
    const { isAlone, clock } = this.#options;
    if (this.#held === undefined) return false;
    if (isAlone || clock.now() - this.#held.writtenMs < RENEW_MS) return true;
    return await this.move({ throughMs });
  }

  /** Lets another one write at once. @throws `store_unavailable`. */
  async release(): Promise<void> {
    await this.move({ holder: '' });
    this.#held = undefined;
  }

  async #write(version: number, place: JournalPlace): Promise<boolean> {
    const { records, box, clock } = this.#options;
    const body = sealPlace(box, place);
    const writtenMs = clock.now();
    if (await records.write({ kind: 'lease', id: JOURNAL_RECORD, version, body })) {
      this.#held = { version, place, writtenMs };
      return true;
    }
    // An answer of the store may have got lost though it had written.
    const found = await this.#read();
    const isOurs =
      found.version === version && found.place?.holder === this.#me && found.place.seq === place.seq;
    this.#held = isOurs && found.place !== undefined ? { version, place: found.place, writtenMs } : undefined;
    return isOurs;
  }

  async #read(): Promise<{ version: number; place: JournalPlace | undefined }> {
    const { records, box } = this.#options;
    const record = await records.read('lease', JOURNAL_RECORD);
    if (record === undefined) return { version: 0, place: undefined };
    const plain = box.open(record.body, JOURNAL_RECORD);
    // One that was sealed under a key that is gone says nothing any more: a new chain begins.
    const place = plain === undefined ? undefined : (JSON.parse(plain.toString()) as JournalPlace);
    return { version: record.version, place };
  }
}
