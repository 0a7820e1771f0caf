import type { Clock } from '../core/clock.ts';
import { foldName } from '../core/fold-name.ts';
import { GatewayError } from '../core/gateway-error.ts';
import type { Keyring } from '../crypto/keyring.ts';
import type { KeyStore, StoredKey } from '../store/key-store.ts';
import type { KeyObserver, KeySettings } from './api-key.ts';
import { dueMs, type KeyRecord } from './key-life.ts';
import { KeyVault, type LastUse } from './key-vault.ts';

/** A record as the store has it now. */
export interface KeptKey {
  readonly record: KeyRecord;
  readonly version: number;
}

/** How often a change is tried again when somebody else was first. */
const TRIES = 8;

/** Keys between memory and store: sealed on the way in, opened on the way out, changed by compare-and-set. */
export class KeyKeeper {
  readonly store: KeyStore;
  readonly vault: KeyVault;
  readonly clock: Clock;
  readonly observer: KeyObserver;
  settings: KeySettings;
  /** Whether the times at which keys are due were written under other settings. */
  isOutOfDate = false;

  constructor(options: {
    readonly store: KeyStore;
    readonly keyring: Keyring;
    readonly clock: Clock;
    readonly settings: KeySettings;
    readonly observer: KeyObserver;
  }) {
    this.store = options.store;
    this.vault = new KeyVault(options.keyring);
    this.clock = options.clock;
    this.settings = options.settings;
    this.observer = options.observer;
  }

  /** Takes settings of a reloaded policy. */
  configure(settings: KeySettings): void {
    this.isOutOfDate ||= JSON.stringify(settings) !== JSON.stringify(this.settings);
    this.settings = settings;
  }

  async read(lineage: string): Promise<KeptKey | undefined> {
    const stored = await this.#ask(this.store.read(lineage));
    return stored === undefined ? undefined : this.open(stored);
  }

  open(stored: StoredKey): KeptKey | undefined {
    const record = this.vault.open(stored);
    return record === undefined ? undefined : { record, version: stored.version };
  }

  /** @returns whether the store had the version before. */
  async write(record: KeyRecord, version: number): Promise<boolean> {
    return await this.#ask(this.store.write(this.vault.seal(record, version, dueMs(record, this.settings))));
  }

  /**
   * Changes a key: reads it, computes, and writes if nobody else was first, again and again otherwise.
   *
   * @param step the next record; `undefined` to leave it as it is.
   * @returns the record that was written; `undefined` when there is no such key or nothing was to be done.
   */
  async change(
    lineage: string,
    step: (record: KeyRecord) => KeyRecord | undefined,
  ): Promise<KeyRecord | undefined> {
    for (let tries = 0; tries < TRIES; tries += 1) {
      const kept = await this.read(lineage);
      const next = kept === undefined ? undefined : step(kept.record);
      if (kept === undefined || next === undefined) return undefined;
      if (await this.write(next, kept.version + 1)) return next;
    }
    throw new GatewayError('store_unavailable', 'a key is being changed by many at once', {
      retryAfterSeconds: 1,
    });
  }

  async ofPerson(account: string, subject: string): Promise<KeyRecord[]> {
    const found: KeyRecord[] = [];
    for (const person of this.vault.persons(account, subject)) {
      for (const stored of await this.#ask(this.store.ofPerson(person))) {
        const kept = this.open(stored);
        if (kept?.record.account === account && foldName(kept.record.subject) === foldName(subject))
          found.push(kept.record);
      }
    }
    return found;
  }

  async all(): Promise<KeyRecord[]> {
    const stored = await this.#ask(this.store.list());
    return stored.flatMap((each) => this.open(each)?.record ?? []);
  }

  async uses(lineages: readonly string[]): Promise<(LastUse | undefined)[]> {
    const sealed = await this.#ask(this.store.uses(lineages));
    return lineages.map((lineage, index) => {
      const use = sealed[index];
      return use === undefined ? undefined : this.vault.openUse(lineage, use);
    });
  }

  close(): void {
    this.isOutOfDate = false;
  }

  async #ask<T>(question: Promise<T>): Promise<T> {
    const startedMs = performance.now();
    try {
      return await question;
    } finally {
      this.observer.storeSeconds((performance.now() - startedMs) / 1000);
    }
  }
}
