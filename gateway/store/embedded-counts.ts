import type { Clock } from '../core/clock.ts';
import { SharedFile } from './shared-file.ts';

const TABLES = `
  CREATE TABLE counts (name TEXT PRIMARY KEY, counted INTEGER NOT NULL, ends_ms INTEGER NOT NULL) STRICT;
  CREATE INDEX counts_by_end ON counts (ends_ms);
`;
/** A count whose window is over begins again. */
const ADD = `
  INSERT INTO counts (name, counted, ends_ms) VALUES (?1, ?2, ?3 + ?4)
  ON CONFLICT (name) DO UPDATE SET
    counted = CASE WHEN ends_ms <= ?3 THEN excluded.counted ELSE counted + excluded.counted END,
    ends_ms = CASE WHEN ends_ms <= ?3 THEN excluded.ends_ms ELSE ends_ms END
  RETURNING counted, ends_ms`;
const SET = `
  INSERT INTO counts (name, counted, ends_ms) VALUES (?1, ?2, ?3)
  ON CONFLICT (name) DO UPDATE SET counted = excluded.counted, ends_ms = excluded.ends_ms`;
const SWEEP_MS = 60_000;

/** Counts of limits on the disk of one machine. Both methods reject with `store_unavailable`. */
export interface EmbeddedCounts {
  /** Adds to a count; its window of `windowMs` begins when there is none. */
  add(name: string, amount: number, windowMs: number): Promise<{ counted: number; leftMs: number }>;
  /** Puts a count to a value for so long from now. */
  set(name: string, counted: number, forMs: number): Promise<void>;
  close(): void;
}

/**
 * Opens the counts of limits in one SQLite file (WAL, mode 0600), which several processes may share. What is asked in
 * one turn of the event loop is written in one transaction; the disk is not waited for, so a machine that loses power
 * may forget the last of it.
 *
 * @param path a file, made if missing; `:memory:` for one that nobody needs later.
 * @throws GatewayError `store_unavailable` when the file cannot be used.
 */
export function openEmbeddedCounts(path: string, clock: Clock): EmbeddedCounts {
  const file = new SharedFile(path, { name: 'the store of limits', tables: TABLES, version: 1 });
  return new CountFile(file, clock);
}

class CountFile implements EmbeddedCounts {
  readonly #file: SharedFile;
  readonly #clock: Clock;
  #waiting: (() => void)[] = [];
  #sweptMs = 0;

  constructor(file: SharedFile, clock: Clock) {
    this.#file = file;
    this.#clock = clock;
    file.sql('PRAGMA synchronous = NORMAL').run();
  }

  add(name: string, amount: number, windowMs: number): Promise<{ counted: number; leftMs: number }> {
    return this.#queue((nowMs) => {
      const row = this.#file.sql(ADD).get(name, amount, nowMs, windowMs);
      return { counted: Number(row?.['counted']), leftMs: Math.max(1, Number(row?.['ends_ms']) - nowMs) };
    });
  }

  set(name: string, counted: number, forMs: number): Promise<void> {
    return this.#queue((nowMs) => {
      this.#file.sql(SET).run(name, counted, nowMs + forMs);
    });
  }

  close(): void {
    this.#write();
    this.#file.close();
  }

  #queue<T>(work: (nowMs: number) => T): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#waiting.length === 0) queueMicrotask(() => this.#write());
      this.#waiting.push(() => {
        try {
          resolve(this.#file.guard(() => work(this.#clock.now())));
        } catch (error) {
          reject(error);
        }
      });
    });
  }

  #write(): void {
    const waiting = this.#waiting;
    if (waiting.length === 0) return;
    this.#waiting = [];
    try {
      this.#file.sql('BEGIN IMMEDIATE').run();
    } catch {
      // Another process holds the file for long, or it is gone: each of the statements says so by itself.
    }
    for (const work of waiting) work();
    try {
      this.#sweep();
      this.#file.sql('COMMIT').run();
    } catch {
      // There was no transaction; what could be written is written.
    }
  }

  #sweep(): void {
    const nowMs = this.#clock.now();
    if (nowMs - this.#sweptMs < SWEEP_MS) return;
    this.#sweptMs = nowMs;
    this.#file.sql('DELETE FROM counts WHERE ends_ms <= ?').run(nowMs);
  }
}
