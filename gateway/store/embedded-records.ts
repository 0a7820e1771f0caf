import type { RecordKind, RecordListener, RecordStore, StoredRecord } from './record-store.ts';
import { SharedFile } from './shared-file.ts';

const TABLES = `
  CREATE TABLE records (
    kind    TEXT NOT NULL,
    id      TEXT NOT NULL,
    version INTEGER NOT NULL,
    body    BLOB NOT NULL,
    PRIMARY KEY (kind, id)
  ) STRICT, WITHOUT ROWID;
`;

/** The file of the gateway's own state. */
export const RECORD_FILE_SCHEMA = { name: 'the record store', tables: TABLES, version: 1 };

/** The embedded store's records. */
export interface EmbeddedRecordStore extends RecordStore {
  close(): void;
}

/**
 * Opens the store of the gateway's own state that lives in one SQLite file; see {@link SharedFile}.
 *
 * @throws GatewayError `store_unavailable` when the file cannot be used; the message names it and says why.
 */
export function openEmbeddedRecords(path: string): EmbeddedRecordStore {
  return new EmbeddedRecords(new SharedFile(path, RECORD_FILE_SCHEMA));
}

class EmbeddedRecords implements EmbeddedRecordStore {
  readonly #file: SharedFile;
  readonly #listeners = new Set<RecordListener>();

  constructor(file: SharedFile) {
    this.#file = file;
  }

  isFresh(): boolean {
    if (!this.#file.takeForeignChange()) return true;
    this.#tell(undefined);
    return false;
  }

  async read(kind: RecordKind, id: string): Promise<StoredRecord | undefined> {
    return this.#file.guard(() => {
      const row = this.#file.sql('SELECT * FROM records WHERE kind = ? AND id = ?').get(kind, id);
      return row === undefined ? undefined : storedRecord(row);
    });
  }

  async list(kind: RecordKind): Promise<StoredRecord[]> {
    return this.#file.guard(() =>
      this.#file.sql('SELECT * FROM records WHERE kind = ? ORDER BY id').all(kind).map(storedRecord),
    );
  }

  async write({ kind, id, version, body }: StoredRecord): Promise<boolean> {
    const isWritten = this.#file.guard(() =>
      version === 1
        ? this.#file.run(
            'INSERT OR IGNORE INTO records (kind, id, version, body) VALUES (?, ?, 1, ?)',
            kind,
            id,
            body,
          )
        : this.#file.run(
            'UPDATE records SET version = ?, body = ? WHERE kind = ? AND id = ? AND version = ?',
            version,
            body,
            kind,
            id,
            version - 1,
          ),
    );
    if (isWritten) this.#tell(kind);
    return isWritten;
  }

  async forget(kind: RecordKind, id: string, version: number): Promise<boolean> {
    const isForgotten = this.#file.guard(() =>
      this.#file.run('DELETE FROM records WHERE kind = ? AND id = ? AND version = ?', kind, id, version),
    );
    if (isForgotten) this.#tell(kind);
    return isForgotten;
  }

  onChange(listener: RecordListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    this.#listeners.clear();
    this.#file.close();
  }

  #tell(kind: RecordKind | undefined): void {
    for (const listener of this.#listeners) listener(kind);
  }
}

/** Reads a row of `records`. */
export function storedRecord(row: Record<string, unknown>): StoredRecord {
  return {
    kind: String(row['kind']) as RecordKind,
    id: String(row['id']),
    version: Number(row['version']),
    body: row['body'] as Uint8Array,
  };
}
