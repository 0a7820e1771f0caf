import { setImmediate } from 'node:timers/promises';

import { parseKeyId } from './key-format.ts';
import type { KeyKeeper } from './key-keeper.ts';
import { hasWorking, type KeyRecord, works } from './key-life.ts';

/** Keys that are looked at or written between two turns of the event loop, so that requests go on meanwhile. */
const AT_ONCE = 16;

/** Takes keys off the hold that a restore put them on. */
export class KeyRelease {
  readonly #keeper: KeyKeeper;
  /** Keys that were found on hold and not looked at since. */
  #left: string[] = [];

  constructor(keeper: KeyKeeper) {
    this.#keeper = keeper;
  }

  /** @returns whether a key with this id was on hold and works now. */
  async one(id: string): Promise<boolean> {
    const parsed = parseKeyId(id);
    if (parsed === undefined) return false;
    return await this.#change(parsed.lineage, (record) =>
      hasWorking(record, parsed.generation, this.#keeper.clock.now()),
    );
  }

  /** Does a part of all keys; a call after the last part begins anew. */
  async some(limit: number): Promise<{ released: number; left: number }> {
    if (this.#left.length === 0) this.#left = await this.#find();
    const part = this.#left.splice(-limit);
    let released = 0;
    try {
      while (part.length > 0) {
        const done = part.splice(-AT_ONCE).map((lineage) => this.#change(lineage, () => true));
        released += (await Promise.all(done)).filter(Boolean).length;
        await setImmediate();
      }
    } catch (error) {
      // What this part did not reach is found by the next call.
      this.#left = [];
      throw error;
    }
    return { released, left: this.#left.length };
  }

  /** @returns whether the key works now and did not before. */
  async #change(lineage: string, isMeant: (record: KeyRecord) => boolean): Promise<boolean> {
    const changed = await this.#keeper.change(lineage, (record) =>
      record.held === true && isMeant(record) ? { ...record, held: undefined } : undefined,
    );
    const nowMs = this.#keeper.clock.now();
    return changed?.generations.some((each) => works(each, nowMs)) ?? false;
  }

  async #find(): Promise<string[]> {
    const found: string[] = [];
    for (const [index, stored] of (await this.#keeper.store.list()).entries()) {
      if (this.#keeper.open(stored)?.record.held === true) found.push(stored.lineage);
      if (index % AT_ONCE === AT_ONCE - 1) await setImmediate();
    }
    return found;
  }
}
