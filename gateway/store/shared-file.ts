import { closeSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';

import { GatewayError } from '../core/gateway-error.ts';

const BUSY_TIMEOUT_MS = 1000;

/** What a shared file holds. */
interface FileSchema {
  /** For messages: `the key store`. */
  readonly name: string;
  /** Statements that make the tables. */
  readonly tables: string;
  /** Goes up with every change of the tables. */
  readonly version: number;
  /** Statements that bring tables of an earlier version to the next, by the version that they start from. */
  readonly upgrades?: Readonly<Record<number, string>>;
}

/**
 * One SQLite file that several processes share (WAL, mode 0600). Writes reach the disk before they are reported.
 */
export class SharedFile {
  readonly #name: string;
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  #seenVersion: number;

  /**
   * Opens the file, made if missing; `:memory:` for one that nobody needs later.
   *
   * @throws GatewayError `store_unavailable` when it cannot be used; the message names it and says why.
   */
  constructor(path: string, schema: FileSchema) {
    this.#name = schema.name;
    try {
      this.#database = openDatabase(path, schema);
      this.#seenVersion = this.#version();
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new GatewayError('store_unavailable', `${schema.name} ${path} cannot be opened: ${why}`, {
        cause: error,
      });
    }
  }

  /** Whether another process wrote since this was last asked; also when that cannot be told. About a microsecond. */
  takeForeignChange(): boolean {
    try {
      const version = this.#version();
      const isForeign = version !== this.#seenVersion;
      this.#seenVersion = version;
      return isForeign;
    } catch {
      return true;
    }
  }

  /** Runs a statement. @returns whether it changed exactly one row. */
  run(text: string, ...values: SQLInputValue[]): boolean {
    return this.sql(text).run(...values).changes === 1;
  }

  /** A statement, prepared once. */
  sql(text: string): StatementSync {
    let statement = this.#statements.get(text);
    if (statement === undefined) {
      statement = this.#database.prepare(text);
      this.#statements.set(text, statement);
    }
    return statement;
  }

  /** Runs work whose loss would do little harm: the disk is not waited for. */
  lazily(work: () => void): void {
    this.#database.exec('PRAGMA synchronous = NORMAL');
    try {
      work();
    } finally {
      this.#database.exec('PRAGMA synchronous = FULL');
    }
  }

  /** Runs work on the file. @throws GatewayError `store_unavailable` in place of what the database throws. */
  guard<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new GatewayError('store_unavailable', `${this.#name} failed: ${why}`, {
        cause: error,
        retryAfterSeconds: 1,
      });
    }
  }

  close(): void {
    if (this.#database.isOpen) this.#database.close();
  }

  #version(): number {
    return Number(this.sql('PRAGMA data_version').get()?.['data_version']);
  }
}

function openDatabase(path: string, { tables, version, upgrades = {} }: FileSchema): DatabaseSync {
  if (path !== ':memory:') {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    closeSync(openSync(path, 'a', 0o600));
  }
  const database = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS });
  database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; BEGIN IMMEDIATE');
  const found = Number(database.prepare('PRAGMA user_version').get()?.['user_version']);
  if (found > version) throw new Error('it was written by a newer gateway');
  if (found === 0) database.exec(tables);
  for (let from = found; from > 0 && from < version; from += 1) database.exec(upgrades[from] ?? '');
  if (found < version) database.exec(`PRAGMA user_version = ${version}`);
  database.exec('COMMIT');
  return database;
}
