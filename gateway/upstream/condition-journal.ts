import { stat } from 'node:fs/promises';

import type { Keyring } from '../crypto/keyring.ts';
import { createSealedBox } from '../crypto/sealed-box.ts';
import { openSealedFolder, type SealedFolder } from '../store/sealed-folder.ts';
import { readFacts, type RegionFacts } from './region-record.ts';
import { isRegionCause, type RegionCause } from './region-state.ts';

/** A cause that was reported and may not be in the store yet. */
export interface PendingChange {
  readonly name: string;
  readonly region: string;
  readonly cause: RegionCause;
  /** Under which it is remembered once it was taken up. */
  readonly id: string;
  /** Until when a repetition must be known again. */
  readonly untilMs: number;
  readonly atMs: number;
}

/** A file that was written within this time of the last look may have missed it. */
const RACY_MS = 2000;

/**
 * What the processes of one node know of regions on their own disk: causes that are not in the store yet, which hold
 * for all processes of the node while the store is away, and the last that was heard of each region, so that a store
 * that lost a seal does not open it.
 */
export class ConditionJournal {
  readonly #directory: string;
  readonly #changes: SealedFolder;
  readonly #known: SealedFolder;
  readonly #pending = new Map<string, PendingChange>();
  /** Changes of this process: they hold even when the disk does not take them. */
  readonly #own = new Set<string>();
  readonly #toKeep = new Map<string, RegionFacts>();
  #keeping: Promise<void> | undefined;
  #readMs = 0;
  #changedMs = -1;

  private constructor(directory: string, changes: SealedFolder, known: SealedFolder) {
    this.#directory = directory;
    this.#changes = changes;
    this.#known = known;
  }

  /** Opens the journal; the directory is made when it is missing. @throws the system's error. */
  static async open(directory: string, keyring: Keyring): Promise<ConditionJournal> {
    const changes = await openSealedFolder(directory, '.change', createSealedBox(keyring, 'region-change'));
    const known = await openSealedFolder(directory, '.known', createSealedBox(keyring, 'region-known'));
    return new ConditionJournal(directory, changes, known);
  }

  /** Changes of this node that are not known to be in the store. */
  get pending(): Iterable<PendingChange> {
    return this.#pending.values();
  }

  /** The last that this node heard of each region. */
  async known(): Promise<Map<string, RegionFacts>> {
    const all = new Map<string, RegionFacts>();
    for (const name of await this.#known.names()) {
      const facts = readFacts((await this.#known.read(name))?.value);
      if (facts !== undefined) all.set(name, facts);
    }
    return all;
  }

  /** Remembers what was heard of a region, unless the disk has something newer. @throws the system's error. */
  keep(region: string, facts: RegionFacts): Promise<void> {
    this.#toKeep.set(region, facts);
    // One after the other, and only the last of what comes meanwhile.
    this.#keeping ??= this.#keepAll().finally(() => (this.#keeping = undefined));
    return this.#keeping;
  }

  /** Takes a change up: it holds here from now on; {@link save} puts it on disk. */
  add(change: PendingChange): void {
    this.#own.add(change.name);
    this.#pending.set(change.name, change);
  }

  /** Whether a change was taken up by this process. */
  isOwn({ name }: PendingChange): boolean {
    return this.#own.has(name);
  }

  /** @returns resolves when the change would outlive a loss of power. @throws the system's error. */
  async save({ name, ...value }: PendingChange): Promise<void> {
    await this.#changes.write(name, value);
  }

  /** The store has these changes now. */
  async drop(changes: readonly PendingChange[]): Promise<void> {
    for (const { name } of changes) {
      this.#pending.delete(name);
      this.#own.delete(name);
    }
    await Promise.all(changes.map(({ name }) => this.#changes.remove(name)));
  }

  /** Looks for changes of other processes of the node. @returns regions that have others now. @throws the system's error. */
  async look(): Promise<string[]> {
    const { mtimeMs } = await stat(this.#directory);
    if (mtimeMs === this.#changedMs && mtimeMs < this.#readMs - RACY_MS) return [];
    this.#readMs = Date.now();
    this.#changedMs = mtimeMs;
    const names = new Set(await this.#changes.names());
    const regions: string[] = [];
    for (const { name, region } of this.#pending.values()) {
      if (names.has(name) || this.#own.has(name)) continue;
      this.#pending.delete(name);
      regions.push(region);
    }
    for (const name of names) {
      if (this.#pending.has(name)) continue;
      const change = pendingChange(name, (await this.#changes.read(name))?.value);
      if (change === undefined) continue;
      this.#pending.set(name, change);
      regions.push(change.region);
    }
    return regions;
  }

  async #keepAll(): Promise<void> {
    for (const [region, facts] of this.#toKeep) {
      this.#toKeep.delete(region);
      // Another process of the node may have heard more by now.
      const there = readFacts((await this.#known.read(region))?.value);
      if (there === undefined || there.revision <= facts.revision) await this.#known.write(region, facts);
    }
  }
}

function pendingChange(name: string, value: unknown): PendingChange | undefined {
  const change = { name, ...(value as Omit<PendingChange, 'name'> | undefined) };
  return isRegionCause(change.cause) && typeof change.region === 'string'
    ? (change as PendingChange)
    : undefined;
}
