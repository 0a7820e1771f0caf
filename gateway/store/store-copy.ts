import type { StoredKey } from './key-store.ts';
import type { StoredRecord } from './record-store.ts';

/** An API key and, where it was ever used, its last use. */
export interface CopiedKey extends StoredKey {
  readonly use?: { readonly atMs: number; readonly sealed: Uint8Array } | undefined;
}

/** What is left of a session in a copy: that there was one. Nothing of it can be presented. */
export interface Tombstone {
  /** Hash of the family id. */
  readonly id: string;
  readonly createdMs: number;
  readonly endsMs: number;
  readonly generation: number;
}

/**
 * A whole store, read for a backup beside a gateway that goes on writing. What the embedded store gives is one moment
 * of each of its files; Redis gives each key and record as it was when it was read. Memory stays bounded. Each method
 * is called once; all reject with `GatewayError('store_unavailable')`.
 */
export interface StoreCopy {
  /** By kind and id. */
  records(): AsyncIterable<StoredRecord>;
  /** By lineage. */
  keys(): AsyncIterable<CopiedKey>;
  /** By id. */
  sessions(): AsyncIterable<Tombstone>;
  close(): Promise<void>;
}

/**
 * A store that is filled from a backup. Between {@link begin} and {@link finish} it carries a mark, and no gateway
 * starts on it: it is empty or complete, never between. All methods reject with `GatewayError('store_unavailable')`.
 */
export interface StoreLoad {
  /** Whether it holds nothing of a gateway's. */
  isEmpty(): Promise<boolean>;
  /** Whether an earlier load did not come to its end. */
  isUnfinished(): Promise<boolean>;
  /**
   * Sets the mark and takes away what an unfinished load left, or, with `replace`, all that is there.
   *
   * @throws GatewayError `internal` when there is something else and it is not to be replaced.
   */
  begin(options?: { readonly replace?: boolean }): Promise<void>;
  /** Writes records; of two versions of one the higher stays. */
  putRecords(records: readonly StoredRecord[]): Promise<void>;
  /** Writes keys; of two versions of one the higher stays. */
  putKeys(keys: readonly CopiedKey[]): Promise<void>;
  /** Writes ended sessions. */
  putSessions(sessions: readonly Tombstone[]): Promise<void>;
  /** Where `KeyStore.changes` goes on to tell all that changes once this is finished, and nothing that was put here. */
  changesCursor(): Promise<string>;
  /** Makes all of it durable and takes the mark away, last. */
  finish(): Promise<void>;
  close(): Promise<void>;
}
