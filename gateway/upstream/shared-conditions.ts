import { randomBytes } from 'node:crypto';

import type { Clock } from '../core/clock.ts';
import { GatewayError } from '../core/gateway-error.ts';
import type { Keyring } from '../crypto/keyring.ts';
import type { RecordStore } from '../store/record-store.ts';
import { ConditionJournal, type PendingChange } from './condition-journal.ts';
import type { RegionCondition, RegionConditions } from './region-condition.ts';
import { type ChangeToken, RegionLedger } from './region-ledger.ts';
import { createRegionSeal, hasSeen, type RegionFacts } from './region-record.ts';
import {
  conditionOf,
  type RegionCause,
  type RegionCauses,
  type RegionRelief,
  withCause,
} from './region-state.ts';

/** What became of a cause: `recorded` for all nodes, `held` by this node until the store is back, or seen before. */
export type Tightening = 'recorded' | 'held' | 'repeated';

/** What shared conditions work with. */
export interface SharedConditionsOptions {
  readonly records: RecordStore;
  readonly keyring: Keyring;
  /** Of this node's own: shared by its processes and by nobody else. */
  readonly directory: string;
  readonly clock: Clock;
  /** Told of failures that nobody waits for. */
  readonly failed: (message: string, error: unknown) => void;
}

/** How often the store is asked when it does not push, in ms. */
const ASK_MS = 1000;
/** Also a store that pushes is asked, seldom. */
const ASK_ANYWAY_MS = 15_000;
/** When others record what the process that took it up has not. */
const TAKE_OVER_MS = 5000;
const OWN_TOKEN_MS = 600_000;

type Listener = (region: string, condition: RegionCondition) => void;

/**
 * The conditions of regions, in step over all processes and nodes. What closes a region holds on this process before
 * the call returns, and goes to disk and store behind it; what opens one holds once the store has it. Until the store
 * was heard for the first time every region counts as sealed.
 */
export class SharedConditions implements RegionConditions {
  readonly #options: SharedConditionsOptions;
  readonly #journal: ConditionJournal;
  readonly #ledger: RegionLedger;
  readonly #listeners = new Set<Listener>();
  readonly #stopListening: () => void;
  readonly #inForce = new Map<string, RegionCondition>();
  /** Changes that this process is writing just now. */
  readonly #underWay = new Set<PendingChange>();
  #isHeard = false;
  #isOld = true;
  #askedMs = 0;
  #reportedMs = 0;
  #asking: Promise<void> | undefined;

  private constructor(
    options: SharedConditionsOptions,
    journal: ConditionJournal,
    known: ReadonlyMap<string, RegionFacts>,
  ) {
    const { records, keyring, clock } = options;
    this.#options = options;
    this.#journal = journal;
    const learnt = (region: string, facts: RegionFacts) => this.#learnt(region, facts);
    this.#ledger = new RegionLedger({ records, seal: createRegionSeal(keyring), clock, learnt }, known);
    this.#stopListening = records.onChange((kind) => {
      if (kind !== undefined && kind !== 'region') return;
      this.#isOld = true;
      void this.#ask();
    });
    for (const region of known.keys()) this.#settle(region);
  }

  /** Opens them; the store may be away. @throws the system's error when the directory cannot be used. */
  static async open(options: SharedConditionsOptions): Promise<SharedConditions> {
    const journal = await ConditionJournal.open(options.directory, options.keyring);
    const conditions = new SharedConditions(options, journal, await journal.known());
    for (const region of await journal.look()) conditions.#settle(region);
    await conditions.#ask();
    return conditions;
  }

  of(region: string): RegionCondition {
    return this.#isHeard ? (this.#inForce.get(region) ?? 'open') : 'sealed';
  }

  onChange(listener: Listener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Why a region is not open, as far as this process knows. */
  causes(region: string): RegionCauses {
    const facts = this.#ledger.facts(region);
    let { causes } = facts;
    for (const change of this.#reportsOf(region)) {
      // One that the store has taken up, and that may have been taken back since, waits only to be tidied away.
      if (!hasSeen(facts.seen, change.id)) causes = withCause(causes, change.cause);
    }
    return causes;
  }

  /** Whether a change was taken up before, as far as this process has heard. */
  wasSeen(region: string, id: string): boolean {
    return (
      hasSeen(this.#ledger.facts(region).seen, id) || this.#reportsOf(region).some((each) => each.id === id)
    );
  }

  /**
   * Adds a cause. It is in force on this process when the call returns, whatever happens to disk and store.
   *
   * @returns what became of it; never rejects, and takes as long as the store does.
   */
  tighten(region: string, cause: RegionCause, token?: ChangeToken): Promise<Tightening> {
    const atMs = this.#options.clock.now();
    const name = `${process.pid}-${randomBytes(9).toString('base64url')}`;
    const { id, untilMs } = token ?? {
      id: randomBytes(16).toString('base64url'),
      untilMs: atMs + OWN_TOKEN_MS,
    };
    const change: PendingChange = { name, region, cause, id, untilMs, atMs };
    this.#journal.add(change);
    this.#settle(region);
    return this.#record(change);
  }

  /**
   * Takes causes away on all nodes, after whatever this node still had to report of the region.
   *
   * @throws GatewayError `store_unavailable`, or `signal_replayed` for a token that was seen before; then nothing
   *   has changed.
   */
  async relieve(region: string, relief: RegionRelief, token?: ChangeToken): Promise<RegionCondition> {
    const reports = () => this.#reportsOf(region);
    let told: readonly PendingChange[] = [];
    const { facts } = await this.#ledger.write(region, () => ({
      reports: (told = reports()),
      relief,
      token,
    }));
    await this.#journal.drop(told);
    this.#settle(region);
    return conditionOf(facts.causes);
  }

  /** Looks for news and tries again what failed; to be called a few times a second. Never rejects. */
  async tick(): Promise<void> {
    const { records, clock, failed } = this.#options;
    try {
      for (const region of await this.#journal.look()) this.#settle(region);
    } catch (error) {
      failed('the journal of region conditions cannot be read', error);
    }
    const isFresh = records.isFresh();
    const sinceMs = clock.now() - this.#askedMs;
    if (sinceMs >= (isFresh && this.#isHeard ? ASK_ANYWAY_MS : ASK_MS)) this.#isOld = true;
    if (this.#isOld && (sinceMs >= ASK_MS || isFresh)) await this.#ask();
    await this.#reportAgain();
  }

  close(): void {
    this.#stopListening();
    this.#listeners.clear();
  }

  #reportsOf(region: string): PendingChange[] {
    return [...this.#journal.pending].filter((change) => change.region === region);
  }

  async #record(change: PendingChange): Promise<Tightening> {
    const { failed } = this.#options;
    this.#underWay.add(change);
    // A disk that is slow or full holds nobody up: the store is told meanwhile.
    const saving = this.#journal
      .save(change)
      .catch((error: unknown) => failed('a change of a region cannot be written to disk', error));
    try {
      const isRepeated = await this.#report(change.region, change);
      await saving;
      await this.#journal.drop([change]);
      this.#settle(change.region);
      return isRepeated ? 'repeated' : 'recorded';
    } catch (error) {
      if (!isAway(error)) failed('a change of a region was not recorded', error);
      // Whoever is told that it is held may rely on it that a crash does not lose it.
      await saving;
      return 'held';
    } finally {
      this.#underWay.delete(change);
    }
  }

  /** Writes what this node has to report of a region. @returns whether `change` had been taken up before. */
  async #report(region: string, change?: PendingChange): Promise<boolean> {
    let told: PendingChange[] = [];
    const { repeated } = await this.#ledger.write(region, () => ({
      reports: (told = this.#reportsOf(region)),
    }));
    await this.#journal.drop(told);
    return change !== undefined && repeated.has(change);
  }

  /** The process that took a change up may be gone, or the store was. */
  async #reportAgain(): Promise<void> {
    const nowMs = this.#options.clock.now();
    if (nowMs - this.#reportedMs < ASK_MS) return;
    this.#reportedMs = nowMs;
    const regions = new Set<string>();
    for (const change of this.#journal.pending) {
      const waitMs = this.#journal.isOwn(change) ? ASK_MS : TAKE_OVER_MS;
      if (!this.#underWay.has(change) && nowMs - change.atMs >= waitMs) regions.add(change.region);
    }
    for (const region of regions) await this.#tellAgain(region);
  }

  async #tellAgain(region: string): Promise<void> {
    try {
      await this.#report(region);
    } catch (error) {
      if (!isAway(error)) this.#options.failed('a change of a region was not recorded', error);
    }
  }

  /** Reads all regions: one question at a time, and another when news came meanwhile. */
  #ask(): Promise<void> {
    this.#asking ??= this.#askAll().finally(() => (this.#asking = undefined));
    return this.#asking;
  }

  async #askAll(): Promise<void> {
    this.#askedMs = this.#options.clock.now();
    try {
      while (this.#isOld) {
        this.#isOld = false;
        const behind = await this.#ledger.read();
        this.#isHeard = true;
        for (const region of behind) void this.#tellAgain(region);
      }
    } catch (error) {
      this.#isOld = true;
      if (!isAway(error)) this.#options.failed('conditions of regions cannot be read', error);
    }
  }

  #learnt(region: string, facts: RegionFacts): void {
    this.#settle(region);
    this.#journal
      .keep(region, facts)
      .catch((error: unknown) => this.#options.failed('a condition cannot be written to disk', error));
  }

  #settle(region: string): void {
    const condition = conditionOf(this.causes(region));
    if ((this.#inForce.get(region) ?? 'open') === condition) return;
    this.#inForce.set(region, condition);
    for (const listener of this.#listeners) {
      try {
        listener(region, condition);
      } catch (error) {
        this.#options.failed('a listener for conditions of regions failed', error);
      }
    }
  }
}

function isAway(error: unknown): boolean {
  return error instanceof GatewayError && error.code === 'store_unavailable';
}
