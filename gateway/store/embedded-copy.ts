import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

import { GatewayError } from '../core/gateway-error.ts';
import { storedKey } from './embedded-keys.ts';
import { storedRecord } from './embedded-records.ts';
import type { Row } from './family-row.ts';
import type { CopiedKey, StoreCopy, Tombstone } from './store-copy.ts';

/** Names of the embedded store's files in a data directory. */
export const EMBEDDED_FILES = { sessions: 'sessions.db', keys: 'keys.db', records: 'records.db' } as const;

/**
 * Opens the embedded store of a data directory for a backup. The moment that is copied is fixed here, for each file in
 * one transaction that reads; writers are not held up.
 *
 * @throws GatewayError `store_unavailable` when a file cannot be read; one that is missing is empty.
 */
export function openEmbeddedCopy(data: string): StoreCopy {
  const opened: DatabaseSync[] = [];
  const open = (file: string): DatabaseSync | undefined => {
    const path = join(data, file);
    if (!existsSync(path)) return undefined;
    return guard(path, () => {
      const database = new DatabaseSync(path, { readOnly: true, timeout: 1000 });
      opened.push(database);
      // The moment is that of the first read.
      database.exec('BEGIN; SELECT count(*) FROM sqlite_schema');
      return database;
    });
  };
  const close = async (): Promise<void> => {
    for (const database of opened.splice(0)) database.close();
  };
  try {
    const [keys, records, sessions] = [
      open(EMBEDDED_FILES.keys),
      open(EMBEDDED_FILES.records),
      open(EMBEDDED_FILES.sessions),
    ];
    return {
      records: () => rows(records, 'SELECT * FROM records ORDER BY kind, id', storedRecord),
      keys: () => rows(keys, 'SELECT * FROM keys LEFT JOIN uses USING (lineage) ORDER BY lineage', copiedKey),
      sessions: () =>
        rows(sessions, 'SELECT id, created_ms, ends_ms, generation FROM families ORDER BY id', tombstone),
      close,
    };
  } catch (error) {
    void close();
    throw error;
  }
}

async function* rows<T>(
  database: DatabaseSync | undefined,
  sql: string,
  read: (row: Row) => T,
): AsyncGenerator<T, void> {
  if (database === undefined) return;
  const found = guard(sql, () => database.prepare(sql).iterate());
  for (;;) {
    const next = guard(sql, () => found.next());
    if (next.done === true) return;
    yield read(next.value);
  }
}

function guard<T>(what: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new GatewayError('store_unavailable', `${what} cannot be read: ${why}`, { cause: error });
  }
}

function copiedKey(row: Row): CopiedKey {
  const sealed = row['sealed'];
  const use = sealed instanceof Uint8Array ? { use: { atMs: Number(row['at_ms']), sealed } } : {};
  return { ...storedKey(row), ...use };
}

function tombstone(row: Row): Tombstone {
  return {
    id: String(row['id']),
    createdMs: Number(row['created_ms']),
    endsMs: Number(row['ends_ms']),
    generation: Number(row['generation']),
  };
}
