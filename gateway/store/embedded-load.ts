import { existsSync } from 'node:fs';
import { mkdir, open, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';

import { GatewayError } from '../core/gateway-error.ts';
import { EMBEDDED_FILES } from './embedded-copy.ts';
import { changesCursor, KEY_FILE_SCHEMA } from './embedded-keys.ts';
import { RECORD_FILE_SCHEMA } from './embedded-records.ts';
import { openDatabase } from './embedded-schema.ts';
import { STATE_COLUMNS, stateValues } from './family-row.ts';
import { endedState, notEmpty } from './loaded-state.ts';
import type { StoredRecord } from './record-store.ts';
import { SharedFile } from './shared-file.ts';
import type { CopiedKey, StoreLoad, Tombstone } from './store-copy.ts';

/** The mark of a load under way; see {@link refuseUnfinishedLoad}. */
const MARK = 'store.loading';

/** Opens the embedded store of a data directory for a restore; nothing is made before it begins. */
export function openEmbeddedLoad(data: string): StoreLoad {
  return new EmbeddedLoad(data);
}

/** @throws GatewayError `store_unavailable` where a restore into a data directory did not come to its end. */
export function refuseUnfinishedLoad(data: string): void {
  if (!existsSync(join(data, MARK))) return;
  throw new GatewayError(
    'store_unavailable',
    `${data} holds half of a restore that did not come to its end: run the restore again`,
  );
}

class EmbeddedLoad implements StoreLoad {
  readonly #data: string;
  #keys: SharedFile | undefined;
  #records: SharedFile | undefined;
  #sessions: DatabaseSync | undefined;

  constructor(data: string) {
    this.#data = data;
  }

  async isEmpty(): Promise<boolean> {
    return (await this.#files()).length === 0;
  }

  async isUnfinished(): Promise<boolean> {
    return existsSync(join(this.#data, MARK));
  }

  async begin({ replace = false } = {}): Promise<void> {
    const isUnfinished = await this.isUnfinished();
    if (!isUnfinished && !replace && !(await this.isEmpty())) throw notEmpty(this.#data);
    await mkdir(this.#data, { recursive: true, mode: 0o700 });
    await writeFile(join(this.#data, MARK), '', { mode: 0o600, flush: true });
    for (const file of await this.#files()) await rm(join(this.#data, file), { force: true });
    const path = (file: string): string => join(this.#data, file);
    this.#keys = new SharedFile(path(EMBEDDED_FILES.keys), KEY_FILE_SCHEMA);
    this.#records = new SharedFile(path(EMBEDDED_FILES.records), RECORD_FILE_SCHEMA);
    this.#sessions = openDatabase(path(EMBEDDED_FILES.sessions));
    // Until the mark is taken away nothing here is relied upon, so no batch has to be on the disk.
    for (const database of [this.#keys, this.#records]) database.sql('PRAGMA synchronous = OFF').run();
    this.#sessions.exec('PRAGMA synchronous = OFF');
  }

  async putRecords(records: readonly StoredRecord[]): Promise<void> {
    const file = begun(this.#records);
    inOne(file, () => {
      for (const { kind, id, version, body } of records) {
        file.run(
          `INSERT INTO records (kind, id, version, body) VALUES (?, ?, ?, ?) ON CONFLICT (kind, id)
           DO UPDATE SET version = excluded.version, body = excluded.body WHERE excluded.version > version`,
          kind,
          id,
          version,
          body,
        );
      }
    });
  }

  async putKeys(keys: readonly CopiedKey[]): Promise<void> {
    const file = begun(this.#keys);
    inOne(file, () => {
      for (const { lineage, version, person, dueMs, body, use } of keys) {
        file.run(
          `INSERT INTO keys (lineage, version, person, due_ms, body) VALUES (?, ?, ?, ?, ?) ON CONFLICT (lineage)
           DO UPDATE SET version = excluded.version, person = excluded.person, due_ms = excluded.due_ms,
             body = excluded.body WHERE excluded.version > version`,
          lineage,
          version,
          person,
          dueMs,
          body,
        );
        if (use !== undefined)
          file.run(
            'INSERT OR REPLACE INTO uses (lineage, at_ms, sealed) VALUES (?, ?, ?)',
            lineage,
            use.atMs,
            use.sealed,
          );
      }
    });
  }

  async putSessions(sessions: readonly Tombstone[]): Promise<void> {
    const database = begun(this.#sessions);
    const put = database.prepare(
      `INSERT OR IGNORE INTO families (${STATE_COLUMNS}, id, created_ms, person, profile) VALUES (${'?,'.repeat(11)} NULL, x'')`,
    );
    database.exec('BEGIN IMMEDIATE');
    for (const session of sessions)
      put.run(...stateValues(endedState(session)), session.id, session.createdMs);
    database.exec('COMMIT');
  }

  async changesCursor(): Promise<string> {
    const { file, count } = begun(this.#keys).sql('SELECT file, count FROM changes').get() ?? {};
    return changesCursor(file, count);
  }

  async finish(): Promise<void> {
    await this.close();
    for (const file of await this.#files()) await syncPath(join(this.#data, file));
    await syncPath(this.#data);
    await rm(join(this.#data, MARK), { force: true });
    await syncPath(this.#data);
  }

  async close(): Promise<void> {
    // The last one out writes what is in the log of changes into the file itself.
    this.#keys?.close();
    this.#records?.close();
    this.#sessions?.close();
    this.#keys = this.#records = this.#sessions = undefined;
  }

  /** The files that are there, with the logs and indexes of SQLite beside them. */
  async #files(): Promise<string[]> {
    const names = await readdir(this.#data).catch(() => []);
    const ours = Object.values(EMBEDDED_FILES);
    return names.filter((name) => ours.some((file) => name === file || name.startsWith(`${file}-`)));
  }
}

function begun<T>(file: T | undefined): T {
  if (file === undefined) throw new GatewayError('internal', 'a store is loaded before the load has begun');
  return file;
}

/** Runs work in one transaction; one that fails leaves the mark, so it is not rolled back. */
function inOne(file: SharedFile, work: () => void): void {
  file.guard(() => {
    file.sql('BEGIN IMMEDIATE').run();
    work();
    file.sql('COMMIT').run();
  });
}

async function syncPath(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
