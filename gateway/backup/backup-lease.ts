import { randomBytes } from 'node:crypto';

import type { Clock } from '../core/clock.ts';
import type { Keyring } from '../crypto/keyring.ts';
import { createSealedBox, type SealedBox } from '../crypto/sealed-box.ts';
import type { RecordStore } from '../store/record-store.ts';
import type { BackupHistory } from './schedule.ts';

/** An archive that is at the target, read back and named. */
export interface FinishedBackup {
  readonly archive: string;
  readonly bytes: number;
  readonly sha256: string;
  /** When its snapshot was taken, ms since the epoch. */
  readonly createdMs: number;
  /** How long it took. */
  readonly seconds: number;
}

/** What all nodes know of the backups, and who is at one. */
export interface BackupFacts extends BackupHistory {
  readonly last: FinishedBackup | undefined;
  /** Why the last attempt failed; `undefined` when it did not. */
  readonly failure: string | undefined;
  readonly holder: { readonly token: string; readonly name: string; readonly untilMs: number } | undefined;
}

/** How an attempt ended; one that was given up on purpose is neither a success nor a failure. */
export type BackupOutcome =
  | { readonly ended: 'done'; readonly backup: FinishedBackup }
  | { readonly ended: 'failed'; readonly failure: string }
  | { readonly ended: 'given_up' };

/** What a lease stands on. */
export interface BackupLeaseOptions {
  readonly records: Pick<RecordStore, 'read' | 'write'>;
  /** Seals the record, so that whoever reaches the store cannot put backups off. */
  readonly box: SealedBox;
  /** The record: one for the fleet, or one for each node. */
  readonly id: string;
  /** The node's name: no other process has it at the same time. */
  readonly name: string;
  readonly clock: Clock;
}

/** The record of the whole fleet. */
export const FLEET_RECORD = 'backup';

/** Seals the records of kind `lease`: those of the backups, and the journal's. */
export function createLeaseBox(keyring: Keyring): SealedBox {
  return createSealedBox(keyring, 'backup-lease');
}

/** So long a holder may be silent, in milliseconds; it renews several times in it. */
export const LEASE_MS = 30_000;
/** Clocks of nodes are nearer to each other than this; a holder that ran out so long ago is dead without a look. */
const CLOCKS_APART_MS = 600_000;

/**
 * Who of the fleet is at a backup, and what became of those before: one record in the store, changed by comparing its
 * version only. A holder that dies is followed by another one after {@link LEASE_MS}; one that was merely paused finds
 * the record changed, and neither renews nor finishes. A holder counts as dead when its record was seen unchanged for so
 * long here, whatever the clocks of the nodes say, or when it ran out ten minutes ago.
 *
 * Every method throws `GatewayError('store_unavailable')` when the store cannot be asked.
 */
export class BackupLease {
  readonly #options: BackupLeaseOptions;
  #held: { readonly token: string; version: number; facts: BackupFacts } | undefined;
  #seen = { version: 0, atMs: 0 };

  constructor(options: BackupLeaseOptions) {
    this.#options = options;
  }

  get isHeld(): boolean {
    return this.#held !== undefined;
  }

  /** What is known; the record is made when there is none, since periods are counted from then. */
  async read(): Promise<BackupFacts> {
    return (await this.#read()).facts;
  }

  /** Whether somebody else is at a backup, as far as can be seen from here. */
  isTaken(facts: BackupFacts): boolean {
    const { holder } = facts;
    // One process runs on a data directory: a holder of this name that is not this one died before it.
    if (holder === undefined || holder.name === this.#options.name) return false;
    const nowMs = this.#options.clock.now();
    return nowMs - this.#seen.atMs < LEASE_MS && nowMs < holder.untilMs + CLOCKS_APART_MS;
  }

  /** Takes the lease. @returns whether it is this process's now. */
  async take(): Promise<boolean> {
    if (this.#held !== undefined) return false;
    const { version, facts } = await this.#read();
    if (this.isTaken(facts)) return false;
    const token = randomBytes(12).toString('base64url');
    const taken = { ...facts, holder: this.#holder(token), lastAttemptMs: this.#options.clock.now() };
    if (!(await this.#write(version + 1, taken))) return false;
    this.#held = { token, version: version + 1, facts: taken };
    return true;
  }

  /** Says that the holder lives. @returns `false` when the lease is somebody else's: whatever was begun is void. */
  async renew(): Promise<boolean> {
    const held = this.#held;
    if (held === undefined) return false;
    return await this.#change({ ...held.facts, holder: this.#holder(held.token) });
  }

  /**
   * Puts the end of an attempt on record and gives the lease back.
   *
   * @returns `false` when it was lost before: then the attempt counts for nothing.
   */
  async finish(outcome: BackupOutcome): Promise<boolean> {
    const held = this.#held;
    if (held === undefined) return false;
    try {
      return await this.#change(afterwards(held.facts, outcome));
    } finally {
      // Also when the store was away: the lease runs out by itself.
      this.#held = undefined;
    }
  }

  async #change(facts: BackupFacts): Promise<boolean> {
    const held = this.#held;
    if (held === undefined) return false;
    if (await this.#write(held.version + 1, facts)) {
      this.#held = { ...held, version: held.version + 1, facts };
      return true;
    }
    // An answer of the store may have got lost though it had written.
    const { version, facts: found } = await this.#read();
    if (found.holder?.token !== held.token) {
      this.#held = undefined;
      return false;
    }
    const isWritten = await this.#write(version + 1, facts);
    this.#held = isWritten ? { ...held, version: version + 1, facts } : undefined;
    return isWritten;
  }

  #holder(token: string): NonNullable<BackupFacts['holder']> {
    return { token, name: this.#options.name, untilMs: this.#options.clock.now() + LEASE_MS };
  }

  async #read(): Promise<{ version: number; facts: BackupFacts }> {
    const { records, box, id, clock } = this.#options;
    const record = await records.read('lease', id);
    const nowMs = clock.now();
    const version = record?.version ?? 0;
    if (version !== this.#seen.version) this.#seen = { version, atMs: nowMs };
    const plain = record === undefined ? undefined : box.open(record.body, id);
    if (plain !== undefined) return { version, facts: JSON.parse(plain.toString()) as BackupFacts };
    // None yet, or one that no key opens: it says nothing, and must not keep backups from being made.
    const facts: BackupFacts = {
      sinceMs: nowMs,
      lastSuccessMs: undefined,
      lastAttemptMs: undefined,
      failures: 0,
      last: undefined,
      failure: undefined,
      holder: undefined,
    };
    if (await this.#write(version + 1, facts)) return { version: version + 1, facts };
    return await this.#read();
  }

  async #write(version: number, facts: BackupFacts): Promise<boolean> {
    const { records, box, id, clock } = this.#options;
    const body = box.seal(Buffer.from(JSON.stringify(facts)), id);
    const isWritten = await records.write({ kind: 'lease', id, version, body });
    if (isWritten) this.#seen = { version, atMs: clock.now() };
    return isWritten;
  }
}

function afterwards(facts: BackupFacts, outcome: BackupOutcome): BackupFacts {
  const free = { ...facts, holder: undefined };
  if (outcome.ended === 'given_up') return free;
  if (outcome.ended === 'failed') return { ...free, failures: facts.failures + 1, failure: outcome.failure };
  const { backup } = outcome;
  return { ...free, failures: 0, failure: undefined, last: backup, lastSuccessMs: backup.createdMs };
}
