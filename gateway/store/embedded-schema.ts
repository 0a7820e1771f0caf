import { closeSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { GatewayError } from '../core/gateway-error.ts';

/** Goes up with every change of the tables below. */
const SCHEMA_VERSION = 1;
/** How long a write waits for another process that holds the file, in ms. */
const BUSY_TIMEOUT_MS = 1000;

const TABLES = `
  CREATE TABLE families (
    id           TEXT PRIMARY KEY,
    alive        INTEGER NOT NULL,
    reason       TEXT NOT NULL,
    generation   INTEGER NOT NULL,
    confirmed_ms INTEGER NOT NULL,
    seen_ms      INTEGER NOT NULL,
    ends_ms      INTEGER NOT NULL,
    created_ms   INTEGER NOT NULL,
    unadopted    INTEGER NOT NULL,
    regressed    INTEGER NOT NULL,
    ids          TEXT NOT NULL,
    person       TEXT,
    profile      BLOB NOT NULL
  ) STRICT;
  CREATE INDEX families_by_person ON families (person) WHERE alive = 1 AND person IS NOT NULL;
  CREATE INDEX families_by_seen ON families (seen_ms) WHERE alive = 1;
  CREATE INDEX families_by_end ON families (ends_ms);
  CREATE TABLE jars (
    id      TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    sealed  BLOB
  ) STRICT;
  CREATE TABLE ends (one INTEGER PRIMARY KEY CHECK (one = 1), count INTEGER NOT NULL) STRICT;
  INSERT INTO ends VALUES (1, 0);
`;

/**
 * Opens the embedded store's file, or makes it (mode 0600, WAL) with its tables. A file that was left by a killed
 * process is recovered by SQLite itself: what was committed is there, what was not never happened.
 *
 * @throws GatewayError `store_unavailable` naming the file when it cannot be written, is damaged, is no database, or
 *   was written by a newer version of the gateway.
 */
export function openDatabase(path: string): DatabaseSync {
  let database: DatabaseSync | undefined;
  try {
    if (path !== ':memory:') makeFile(path);
    database = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS });
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;');
    verifyPages(database);
    createTables(database);
    return database;
  } catch (error) {
    database?.close();
    const why = error instanceof Error ? error.message : String(error);
    throw new GatewayError('store_unavailable', `the session store ${path} cannot be opened: ${why}`, {
      cause: error,
    });
  }
}

/** SQLite would make the file with the process's umask; its -wal and -shm files copy the mode that it has. */
function makeFile(path: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  closeSync(openSync(path, 'a', 0o600));
}

function verifyPages(database: DatabaseSync): void {
  const verdict = database.prepare('PRAGMA quick_check(1)').get()?.['quick_check'];
  if (verdict !== 'ok') throw new Error(`it is damaged (${String(verdict)}); restore it or move it away`);
}

function createTables(database: DatabaseSync): void {
  database.exec('BEGIN IMMEDIATE');
  const version = Number(database.prepare('PRAGMA user_version').get()?.['user_version']);
  if (version > SCHEMA_VERSION) {
    throw new Error(
      `it was written by a newer gateway (schema ${version}, this one knows ${SCHEMA_VERSION})`,
    );
  }
  if (version === 0) database.exec(`${TABLES} PRAGMA user_version = ${SCHEMA_VERSION};`);
  database.exec('COMMIT');
}
