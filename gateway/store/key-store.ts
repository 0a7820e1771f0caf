/**
 * One API key as a store keeps it: a lineage, which is all the secrets that one key had over its rotations. The store
 * reads nothing of it but what it needs to find it.
 */
export interface StoredKey {
  /** The lineage: the first part of every id that this key ever had. Public. */
  readonly lineage: string;
  /** Goes up by one with every change; the first is 1. */
  readonly version: number;
  /** Keyed hash of account and folded subject, to find all keys of a person. */
  readonly person: string;
  /** When something is to be done about it next (a warning, a rotation, a delivery, forgetting), in ms. */
  readonly dueMs: number;
  /** The record itself, sealed by the key service. */
  readonly body: Uint8Array;
}

/** Told that a key changed, on whatever node, or with `undefined` that any may have changed. */
export type KeyListener = (lineage: string | undefined) => void;

/**
 * Where API keys live. Each call is atomic on its key. Every method rejects with `GatewayError('store_unavailable')`
 * when the store cannot be asked.
 */
export interface KeyStore {
  /** Whether news of changes is sure to arrive within a second. While it is not, a copy must not be relied upon. */
  isFresh(): boolean;
  read(lineage: string): Promise<StoredKey | undefined>;
  /**
   * Writes a key if the store has it at the version before (`version - 1`; none at all for version 1). Durable when
   * the promise resolves, and other nodes have been told.
   *
   * @returns whether it was written; otherwise somebody else changed the key first.
   */
  write(key: StoredKey): Promise<boolean>;
  /** Forgets a key if it is still at this version. */
  forget(lineage: string, version: number): Promise<boolean>;
  /** All keys of a person. */
  ofPerson(person: string): Promise<StoredKey[]>;
  /** All keys. */
  list(): Promise<StoredKey[]>;
  /** Keys whose time has come, the most overdue first. */
  due(nowMs: number, limit: number): Promise<StoredKey[]>;
  /**
   * Keys that changed since a cursor, a bounded number at once; one may come again. Keys that were forgotten are left
   * out.
   *
   * @param cursor what the call before said; without one, or with one of another store, nothing before now is told.
   * @returns where to go on.
   */
  changes(cursor: string | undefined): Promise<{ keys: StoredKey[]; cursor: string }>;
  /** Notes the last use of a key: sealed, overwritten by later ones, lost with little harm; tells nobody. */
  noteUse(lineage: string, atMs: number, sealed: Uint8Array): Promise<void>;
  /** The sealed last uses of keys, in the order asked for. */
  uses(lineages: readonly string[]): Promise<(Uint8Array | undefined)[]>;
  /** Registers a listener for changes. @returns a function that takes it off. */
  onChange(listener: KeyListener): () => void;
}
