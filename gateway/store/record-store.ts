/** Kinds of records; each has one owner, see README.md. */
export type RecordKind = (typeof RECORD_KINDS)[number];

/** All kinds, in the order of their names. */
export const RECORD_KINDS = ['admin', 'alarm', 'lease', 'proposal', 'region', 'restore'] as const;

/** Where the number of restores stands: the version of this record goes up with each. */
export const EPOCH_RECORD = { kind: 'restore', id: 'epoch' } as const;

/**
 * One record of the gateway's own state. There are few of them and they change seldom. The store reads nothing of the
 * body, which its owner seals.
 */
export interface StoredRecord {
  readonly kind: RecordKind;
  readonly id: string;
  /** Goes up by one with every change; the first is 1. */
  readonly version: number;
  readonly body: Uint8Array;
}

/** Told that a record changed, on whatever process or node, or with `undefined` that any may have changed. */
export type RecordListener = (kind: RecordKind | undefined) => void;

/**
 * Where records live. Each call is atomic on its record. Every method rejects with `GatewayError('store_unavailable')`
 * when the store cannot be asked.
 */
export interface RecordStore {
  /**
   * Whether news of changes is sure to arrive within a second. A store without pushes looks for changes of other
   * processes here and tells of them, so whoever keeps a copy calls this about once a second, or before relying on it.
   */
  isFresh(): boolean;
  read(kind: RecordKind, id: string): Promise<StoredRecord | undefined>;
  list(kind: RecordKind): Promise<StoredRecord[]>;
  /**
   * Writes a record if the store has it at the version before (`version - 1`; none at all for version 1). Durable when
   * the promise resolves, and others have been told.
   *
   * @returns whether it was written; otherwise somebody else changed the record first.
   */
  write(record: StoredRecord): Promise<boolean>;
  /** Forgets a record if it is still at this version. */
  forget(kind: RecordKind, id: string, version: number): Promise<boolean>;
  /** Registers a listener for changes. @returns a function that takes it off. */
  onChange(listener: RecordListener): () => void;
}
