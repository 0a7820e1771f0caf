import { closeSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';

import { GatewayError } from '../core/gateway-error.ts';
import type { KeyListener, KeyStore, StoredKey } from './key-store.ts';

/** Goes up with every change of the tables below. */
const SCHEMA_VERSION = 1;
const BUSY_TIMEOUT_MS = 1000;

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
`;

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
  try {
    if (path !== ':memory:') {
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      closeSync(openSync(path, 'a', 0o600));
    }
    const database = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS });
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; BEGIN IMMEDIATE');
    const version = Number(database.prepare('PRAGMA user_version').get()?.['user_version']);
    if (version > SCHEMA_VERSION) throw new Error('it was written by a newer gateway');
    if (version === 0) database.exec(`${TABLES} PRAGMA user_version = ${SCHEMA_VERSION};`);
    database.exec('COMMIT');
    return new EmbeddedKeys(database);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new GatewayError('store_unavailable', `the key store ${path} cannot be opened: ${why}`, {
      cause: error,
    });
  }
}

class EmbeddedKeys implements EmbeddedKeyStore {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  readonly #listeners = new Set<KeyListener>();
  #seenVersion: number;

  constructor(database: DatabaseSync) {
    this.#database = database;
    this.#seenVersion = this.#version();
  }

  /** Goes up when another process wrote to the file; about a microsecond. */
  isFresh(): boolean {
    try {
      const version = this.#version();
      if (version === this.#seenVersion) return true;
      this.#seenVersion = version;
      this.#tell(undefined);
      return false;
    } catch {
      return false;
    }
  }

  async read(lineage: string): Promise<StoredKey | undefined> {
    return this.#guard(() => {
      const row = this.#sql('SELECT * FROM keys WHERE lineage = ?').get(lineage);
      return row === undefined ? undefined : storedKey(row);
    });
  }

  async write({ lineage, version, person, dueMs, body }: StoredKey): Promise<boolean> {
    const isWritten = this.#guard(() =>
      version === 1
        ? this.#run(
            'INSERT OR IGNORE INTO keys (lineage, version, person, due_ms, body) VALUES (?, 1, ?, ?, ?)',
            lineage,
            person,
            dueMs,
            body,
          )
        : this.#run(
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
    const isForgotten = this.#guard(() =>
      this.#run('DELETE FROM keys WHERE lineage = ? AND version = ?', lineage, version),
    );
    if (!isForgotten) return false;
    this.#guard(() => this.#run('DELETE FROM uses WHERE lineage = ?', lineage));
    this.#tell(lineage);
    return true;
  }

  async ofPerson(person: string): Promise<StoredKey[]> {
    return this.#guard(() => this.#sql('SELECT * FROM keys WHERE person = ?').all(person).map(storedKey));
  }

  async list(): Promise<StoredKey[]> {
    return this.#guard(() => this.#sql('SELECT * FROM keys ORDER BY rowid').all().map(storedKey));
  }

  async due(nowMs: number, limit: number): Promise<StoredKey[]> {
    return this.#guard(() =>
      this.#sql('SELECT * FROM keys WHERE due_ms <= ? ORDER BY due_ms LIMIT ?')
        .all(nowMs, limit)
        .map(storedKey),
    );
  }

  async noteUse(lineage: string, atMs: number, sealed: Uint8Array): Promise<void> {
    this.#guard(() => {
      // A time in a list is worth no flush of the disk.
      this.#database.exec('PRAGMA synchronous = NORMAL');
      try {
        this.#run(
          'INSERT INTO uses (lineage, at_ms, sealed) VALUES (?, ?, ?) ON CONFLICT (lineage) DO UPDATE SET at_ms = excluded.at_ms, sealed = excluded.sealed WHERE excluded.at_ms >= at_ms',
          lineage,
          atMs,
          sealed,
        );
      } finally {
        this.#database.exec('PRAGMA synchronous = FULL');
      }
    });
  }

  async uses(lineages: readonly string[]): Promise<(Uint8Array | undefined)[]> {
    return this.#guard(() =>
      lineages.map((lineage) => {
        const sealed = this.#sql('SELECT sealed FROM uses WHERE lineage = ?').get(lineage)?.['sealed'];
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
    if (this.#database.isOpen) this.#database.close();
  }

  #version(): number {
    return Number(this.#sql('PRAGMA data_version').get()?.['data_version']);
  }

  #tell(lineage: string | undefined): void {
    for (const listener of this.#listeners) listener(lineage);
  }

  #run(text: string, ...values: SQLInputValue[]): boolean {
    return this.#sql(text).run(...values).changes === 1;
  }

  #sql(text: string): StatementSync {
    let statement = this.#statements.get(text);
    if (statement === undefined) {
      statement = this.#database.prepare(text);
      this.#statements.set(text, statement);
    }
    return statement;
  }

  #guard<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new GatewayError('store_unavailable', `the key store failed: ${why}`, {
        cause: error,
        retryAfterSeconds: 1,
      });
    }
  }
}

function storedKey(row: Record<string, unknown>): StoredKey {
  return {
    lineage: String(row['lineage']),
    version: Number(row['version']),
    person: String(row['person']),
    dueMs: Number(row['due_ms']),
    body: row['body'] as Uint8Array,
  };
}
