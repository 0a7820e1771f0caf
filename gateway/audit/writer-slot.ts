import { randomBytes } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/** The name that one process writes under, for as long as it lives. */
export interface WriterSlot {
  /** The node and the slot: `0a1b2c3d-1`. */
  readonly writer: string;
  release(): void;
}

const SLOTS_LIMIT = 1000;

/**
 * Takes the first writer's name of this data directory that no process holds. The system gives it back by itself when
 * the process is gone, killed or not, so the next one carries the same chain on: names stay as few as the processes
 * that ever ran at once.
 *
 * @param heads where the heads are kept; made when missing.
 * @throws the system's or SQLite's error when the directory cannot be used.
 */
export function takeWriterSlot(heads: string): WriterSlot {
  mkdirSync(heads, { recursive: true, mode: 0o700 });
  const node = nodeName(heads);
  for (let slot = 1; slot <= SLOTS_LIMIT; slot += 1) {
    const lock = tryLock(join(heads, `slot-${slot}.lock`));
    if (lock !== undefined) return { writer: `${node}-${slot}`, release: () => lock.close() };
  }
  throw new Error(`more than ${SLOTS_LIMIT} processes write here`);
}

/**
 * The name of the node whose data directory this is, made by whichever process comes first.
 *
 * @param heads where the heads are kept; made when missing. @throws as {@link takeWriterSlot}.
 */
export function nodeName(heads: string): string {
  mkdirSync(heads, { recursive: true, mode: 0o700 });
  const path = join(heads, 'node.db');
  ownFile(path);
  const file = new DatabaseSync(path, { timeout: 5000 });
  try {
    file.exec(
      'CREATE TABLE IF NOT EXISTS node (one INTEGER PRIMARY KEY CHECK (one = 1), name TEXT NOT NULL)',
    );
    file.prepare('INSERT OR IGNORE INTO node (one, name) VALUES (1, ?)').run(randomBytes(4).toString('hex'));
    return String(file.prepare('SELECT name FROM node').get()?.['name']);
  } finally {
    file.close();
  }
}

/** SQLite's own lock on an empty file: released by the system with the process, on every system alike. */
function tryLock(path: string): DatabaseSync | undefined {
  ownFile(path);
  const file = new DatabaseSync(path);
  try {
    file.exec('PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE');
    return file;
  } catch (error) {
    file.close();
    if (error instanceof Error && 'errcode' in error && error.errcode === 5) return undefined;
    throw error;
  }
}

/** Made for its owner only. A file that is there is not opened: closing it would give up this process's lock on it. */
function ownFile(path: string): void {
  if (!existsSync(path)) closeSync(openSync(path, 'a', 0o600));
}
