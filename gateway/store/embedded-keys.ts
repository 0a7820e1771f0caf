import type { KeyListener, KeyStore, StoredKey } from './key-store.ts';
import { SharedFile } from './shared-file.ts';

/** Numbers every change, so that whoever keeps a journal finds what it has not seen. */
const NUMBERED_CHANGES = `
  ALTER TABLE keys ADD COLUMN changed INTEGER NOT NULL DEFAULT 0;
  CREATE INDEX keys_by_change ON keys (changed) WHERE changed > 0;
  CREATE TABLE changes (one INTEGER PRIMARY KEY CHECK (one = 1), file TEXT NOT NULL, count INTEGER NOT NULL) STRICT;
  INSERT INTO changes VALUES (1, lower(hex(randomblob(8))), 0);
  CREATE TRIGGER keys_inserted AFTER INSERT ON keys BEGIN
    UPDATE changes SET count = count + 1;
    UPDATE keys SET changed = (SELECT count FROM changes) WHERE lineage = NEW.lineage;
  END;
  CREATE TRIGGER keys_updated AFTER UPDATE OF version ON keys BEGIN
    UPDATE changes SET count = count + 1;
    UPDATE keys SET changed = (SELECT count FROM changes) WHERE lineage = NEW.lineage;
  END;
`;
/** Most keys that one call for changes gives. */
const CHANGES_LIMIT = 1000;

const TABLES = `
  CREATE TABLE keys (
    lineage TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    person  TEXT NOT NULL,
    due_ms  INTEGER NOT NULL,
    body    BLOB NOT NULL
  ) STRICT;
  CREATE INDEX keys_by_person ON keys (person);
  CREATE INDEX keys_by_due ON keys (due_ms);
  CREATE TABLE uses (lineage TEXT PRIMARY KEY, at_ms INTEGER NOT NULL, sealed BLOB NOT NULL) STRICT;
  ${NUMBERED_CHANGES}
`;

/** The file of API keys. */
export const KEY_FILE_SCHEMA = {
  name: 'the key store',
  tables: TABLES,
  version: 2,
  upgrades: { 1: NUMBERED_CHANGES },
};

/** The embedded store's keys. */
export interface EmbeddedKeyStore extends KeyStore {
  close(): void;
}

/**
 * Opens the store of API keys that lives in one SQLite file (WAL, mode 0600). Several processes may share the file:
 * each sees by the file's own change counter that another wrote, before it relies on what it remembers. Writes reach
 * the disk before they are reported.
 *
 * @param path a file, made if missing; `:memory:` for a store that nobody needs later.
 * @throws GatewayError `store_unavailable` when the file cannot be used; the message names it and says why.
 */
export function openEmbeddedKeys(path: string): EmbeddedKeyStore {
  return new EmbeddedKeys(new SharedFile(path, KEY_FILE_SCHEMA));
}

class EmbeddedKeys implements EmbeddedKeyStore {
  readonly #file: SharedFile;
  readonly #listeners = new Set<KeyListener>();

  constructor(file: SharedFile) {
    this.#file = file;
  }

  isFresh(): boolean {
    if (!this.#file.takeForeignChange()) return true;
    this.#tell(undefined);
    return false;
  }

  async read(lineage: string): Promise<StoredKey | undefined> {
    return this.#file.guard(() => {
      const row = this.#file.sql('SELECT * FROM keys WHERE lineage = ?').get(lineage);
      return row === undefined ? undefined : storedKey(row);
    });
  }

  async write({ lineage, version, person, dueMs, body }: StoredKey): Promise<boolean> {
    const isWritten = this.#file.guard(() =>
      version === 1
        ? this.#file.run(
            'INSERT OR IGNORE INTO keys (lineage, version, person, due_ms, body) VALUES (?, 1, ?, ?, ?)',
            lineage,
            person,
            dueMs,
            body,
          )
        : this.#file.run(
            'UPDATE keys SET version = ?, person = ?, due_ms = ?, body = ? WHERE lineage = ? AND version = ?',
            version,
            person,
            dueMs,
            body,
            lineage,
            version - 1,
          ),
    );
    if (isWritten) this.#tell(lineage);
    return isWritten;
  }

  async forget(lineage: string, version: number): Promise<boolean> {
    const isForgotten = this.#file.guard(() =>
      this.#file.run('DELETE FROM keys WHERE lineage = ? AND version = ?', lineage, version),
    );
    if (!isForgotten) return false;
    this.#file.guard(() => this.#file.run('DELETE FROM uses WHERE lineage = ?', lineage));
    this.#tell(lineage);
    return true;
  }

  async ofPerson(person: string): Promise<StoredKey[]> {
    return this.#file.guard(() =>
      this.#file.sql('SELECT * FROM keys WHERE person = ?').all(person).map(storedKey),
    );
  }

  async list(): Promise<StoredKey[]> {
    return this.#file.guard(() => this.#file.sql('SELECT * FROM keys ORDER BY rowid').all().map(storedKey));
  }

  async due(nowMs: number, limit: number): Promise<StoredKey[]> {
    return this.#file.guard(() =>
      this.#file
        .sql('SELECT * FROM keys WHERE due_ms <= ? ORDER BY due_ms LIMIT ?')
        .all(nowMs, limit)
        .map(storedKey),
    );
  }

  async changes(cursor: string | undefined): Promise<{ keys: StoredKey[]; cursor: string }> {
    return this.#file.guard(() => {
      const { file, count } = this.#file.sql('SELECT file, count FROM changes').get() ?? {};
      const [of, number] = (cursor ?? '').split(':');
      if (of !== file) return { keys: [], cursor: changesCursor(file, count) };
      const rows = this.#file
        .sql('SELECT * FROM keys WHERE changed > ? AND changed > 0 ORDER BY changed LIMIT ?')
        .all(Number(number), CHANGES_LIMIT);
      const last = rows.length < CHANGES_LIMIT ? count : rows.at(-1)?.['changed'];
      return { keys: rows.map(storedKey), cursor: changesCursor(file, last) };
    });
  }

  async noteUse(lineage: string, atMs: number, sealed: Uint8Array): Promise<void> {
    this.#file.guard(() => {
      // A time in a list is worth no flush of the disk.
      this.#file.lazily(() => {
        this.#file.run(
          'INSERT INTO uses (lineage, at_ms, sealed) VALUES (?, ?, ?) ON CONFLICT (lineage) DO UPDATE SET at_ms = excluded.at_ms, sealed = excluded.sealed WHERE excluded.at_ms >= at_ms',
          lineage,
          atMs,
          sealed,
        );
      });
    });
  }

  async uses(lineages: readonly string[]): Promise<(Uint8Array | undefined)[]> {
    return this.#file.guard(() =>
      lineages.map((lineage) => {
        const sealed = this.#file.sql('SELECT sealed FROM uses WHERE lineage = ?').get(lineage)?.['sealed'];
        return sealed instanceof Uint8Array ? sealed : undefined;
      }),
    );
  }

  onChange(listener: KeyListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    this.#listeners.clear();
    this.#file.close();
  }

  #tell(lineage: string | undefined): void {
    for (const listener of this.#listeners) listener(lineage);
  }
}

/** A place in the numbered changes of a file: `FILE:NUMBER`. */
export function changesCursor(file: unknown, number: unknown): string {
  return `${String(file)}:${Number(number)}`;
}

/** Reads a row of `keys`. */
export function storedKey(row: Record<string, unknown>): StoredKey {
  return {
    lineage: String(row['lineage']),
    version: Number(row['version']),
    person: String(row['person']),
    dueMs: Number(row['due_ms']),
    body: row['body'] as Uint8Array,
  };
}
