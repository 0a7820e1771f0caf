import type { Clock } from '../core/clock.ts';
import { GatewayError } from '../core/gateway-error.ts';
import type { RecordStore, StoredRecord } from '../store/record-store.ts';
import type { PendingChange } from './condition-journal.ts';
import {
  hasSeen,
  NOTHING_KNOWN,
  type RegionFacts,
  type RegionSeal,
  type SeenChange,
} from './region-record.ts';
import { type RegionRelief, relieved, sealingCauses, withCause } from './region-state.ts';

/** What is to be written of a region. */
export interface RegionEntry {
  /** What this node still had to report. */
  readonly reports: readonly PendingChange[];
  /** What is taken away after that, and the change that asked for it, which must be new. */
  readonly relief?: RegionRelief | undefined;
  readonly token?: ChangeToken | undefined;
}

/** A change that must not be taken up twice: the short form of its id, and until when a repetition may come (ms). */
export interface ChangeToken {
  readonly id: string;
  readonly untilMs: number;
}

/** What came of writing. */
export interface RegionEntered {
  readonly facts: RegionFacts;
  /** Reports that the store had taken up before. */
  readonly repeated: ReadonlySet<PendingChange>;
}

/** How the ledger is kept. */
export interface RegionLedgerOptions {
  readonly records: RecordStore;
  readonly seal: RegionSeal;
  readonly clock: Clock;
  /** Told whenever more is known of a region than before. */
  readonly learnt: (region: string, facts: RegionFacts) => void;
}

const KIND = 'region';
/** Repetitions of so many changes are known; far more than a building reports in that time. */
const MOST_SEEN = 1000;
/** However late a change is recorded, a repetition is known for so long after it. */
const SEEN_MS = 600_000;
const MOST_TRIES = 50;

/**
 * The store's records of regions, and the last that this process heard of each. A record that was changed by somebody
 * without the master key counts as a seal, and one that is older than what was heard already opens none.
 */
export class RegionLedger {
  readonly #options: RegionLedgerOptions;
  readonly #facts: Map<string, RegionFacts>;
  /** Under a former master key when this process started. Only then: two nodes with other orders of keys would go on for ever. */
  readonly #old = new Set<string>();
  #isRead = false;

  /** @param known what this node heard before it started. */
  constructor(options: RegionLedgerOptions, known: ReadonlyMap<string, RegionFacts>) {
    this.#options = options;
    this.#facts = new Map(known);
  }

  /** The last that was heard of a region. */
  facts(region: string): RegionFacts {
    return this.#facts.get(region) ?? NOTHING_KNOWN;
  }

  /**
   * Reads all records.
   *
   * @returns regions that have to be written again: the store knows less of them than this process, or has them under
   *   a former master key.
   * @throws GatewayError `store_unavailable`.
   */
  async read(): Promise<string[]> {
    const records = await this.#options.records.list(KIND);
    const byRegion = new Map(records.map((record) => [record.id, record]));
    const behind: string[] = [];
    for (const region of new Set([...byRegion.keys(), ...this.#facts.keys()])) {
      const record = byRegion.get(region);
      const { facts, isBehind, isReadable } = this.#compare(region, record);
      this.#learn(region, facts);
      const isOld =
        !this.#isRead && isReadable && record !== undefined && this.#options.seal.isOld(record.body);
      if (isOld) this.#old.add(region);
      if (isBehind || isOld) behind.push(region);
    }
    this.#isRead = true;
    return behind;
  }

  /**
   * Writes a region's record.
   *
   * @throws GatewayError `store_unavailable`, or `signal_replayed` when the token was seen before; then nothing has
   *   changed.
   */
  async write(region: string, entry: () => RegionEntry): Promise<RegionEntered> {
    const { records, seal } = this.#options;
    for (let tries = 0; tries < MOST_TRIES; tries += 1) {
      const record = await records.read(KIND, region);
      // Asked for in each try: what another call has recorded meanwhile is no report any more.
      const wanted = entry();
      const { reports, relief } = wanted;
      const { facts: before, isBehind, isReadable } = this.#compare(region, record);
      refuse(region, wanted, before, isReadable);
      const repeated = new Set(reports.filter(({ id }) => hasSeen(before.seen, id)));
      const isNews = relief !== undefined || repeated.size < reports.length;
      if (!isNews && !isBehind && !this.#old.has(region)) {
        this.#learn(region, before);
        return { facts: before, repeated };
      }
      const facts = this.#after(before, {
        ...wanted,
        reports: reports.filter((each) => !repeated.has(each)),
      });
      const body = seal.seal(region, facts);
      const version = (record?.version ?? 0) + 1;
      if (!(await records.write({ kind: KIND, id: region, version, body }))) continue;
      this.#old.delete(region);
      this.#learn(region, facts);
      return { facts, repeated };
    }
    throw new GatewayError('store_unavailable', `the record of region ${region} keeps changing`);
  }

  #after(before: RegionFacts, { reports, relief, token }: RegionEntry): RegionFacts {
    const nowMs = this.#options.clock.now();
    let { causes } = before;
    const seen: SeenChange[] = before.seen.filter(([, untilMs]) => untilMs > nowMs);
    const see = ({ id, untilMs }: ChangeToken) => seen.push([id, Math.max(untilMs, nowMs + SEEN_MS)]);
    for (const report of reports) {
      causes = withCause(causes, report.cause);
      see(report);
    }
    if (relief !== undefined) causes = relieved(causes, relief);
    if (token !== undefined) see(token);
    return { revision: before.revision + 1, causes, seen: seen.slice(-MOST_SEEN) };
  }

  /**
   * What holds of a region: the store's word, unless it is older than what was heard already. Of two that contradict
   * each other the seal counts. A record that cannot be read may be under a key that this node lacks: it is believed,
   * and never written over but by both administrators.
   */
  #compare(
    region: string,
    record: StoredRecord | undefined,
  ): { facts: RegionFacts; isBehind: boolean; isReadable: boolean } {
    const heard = this.facts(region);
    const stored = record === undefined ? NOTHING_KNOWN : this.#options.seal.open(region, record.body);
    const isReadable = record === undefined || stored.revision > 0;
    if (stored.revision > heard.revision) return { facts: stored, isBehind: false, isReadable };
    const isBehind = isReadable && stored.revision < heard.revision;
    let causes = isReadable && !isBehind ? stored.causes : heard.causes;
    for (const cause of sealingCauses([...stored.causes, ...heard.causes])) causes = withCause(causes, cause);
    return { facts: { ...heard, causes }, isBehind, isReadable };
  }

  #learn(region: string, facts: RegionFacts): void {
    const heard = this.facts(region);
    const isSame = facts.revision === heard.revision && facts.causes.length === heard.causes.length;
    if (facts.revision < heard.revision || isSame) return;
    this.#facts.set(region, facts);
    this.#options.learnt(region, facts);
  }
}

/** @throws GatewayError for what must not be written on top of what is there. */
function refuse(
  region: string,
  { relief, token }: RegionEntry,
  { seen }: RegionFacts,
  isReadable: boolean,
): void {
  if (!isReadable && relief !== 'unseal')
    throw new GatewayError('store_unavailable', `the record of region ${region} cannot be opened`);
  if (token !== undefined && hasSeen(seen, token.id))
    throw new GatewayError('signal_replayed', `a signal for region ${region} came again`);
}
