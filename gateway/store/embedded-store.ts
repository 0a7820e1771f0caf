import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';
import type { Clock } from '../core/clock.ts';
import { GatewayError } from '../core/gateway-error.ts';
import { openDatabase } from './embedded-schema.ts';
import { STATE_COLUMNS, familyOf, stateValues } from './family-row.ts';
import type {
  EndListener,
  EndReason,
  FamilyLimits,
  FamilyState,
  FamilyTransitions,
  IssueOutcome,
  SessionStore,
  StoredFamily,
  UseOutcome,
} from './session-store.ts';

const JOINED = 'families LEFT JOIN jars USING (id)';
const NO_PROFILE = new Uint8Array();
/** Most families that one sweep ends for each cause, so that it blocks for milliseconds only. */
const SWEEP_LIMIT = 500;

/** Runs work inside one write transaction and tells afterwards which families it ended. */
type Work<T> = (ended: (id: string, reason: EndReason) => void) => T;

/**
 * Opens the store that lives in one SQLite file (WAL). Every transition is one `BEGIN IMMEDIATE` transaction around
 * the pure function, so calls are atomic across processes that share the file; ends reach the disk (`fsync`) before
 * they are reported, everything else survives a killed process but may lose the last moments of a power cut.
 * A call takes tens of microseconds and blocks the event loop for as long.
 *
 * @param path a file, made if missing; `:memory:` for a store that nobody needs later.
 * @throws GatewayError `store_unavailable` when the file cannot be used; the message names it and says why.
 */
export function openEmbeddedStore(path: string, transitions: FamilyTransitions, clock: Clock): SessionStore {
  return new EmbeddedStore(openDatabase(path), transitions, clock);
}

class EmbeddedStore implements SessionStore {
  readonly #database: DatabaseSync;
  readonly #transitions: FamilyTransitions;
  readonly #clock: Clock;
  readonly #statements = new Map<string, StatementSync>();
  readonly #listeners = new Set<EndListener>();

  constructor(database: DatabaseSync, transitions: FamilyTransitions, clock: Clock) {
    this.#database = database;
    this.#transitions = transitions;
    this.#clock = clock;
  }

  async create(family: StoredFamily, perPerson: number): Promise<void> {
    this.#transact((ended) => {
      const { id, state, person, createdMs, profile, jar, jarVersion } = family;
      this.#sql(
        `INSERT INTO families (${STATE_COLUMNS}, id, created_ms, person, profile) VALUES (${'?,'.repeat(12)}?)`,
      ).run(...stateValues(state), id, createdMs, person ?? null, profile);
      this.#sql('INSERT INTO jars (id, version, sealed) VALUES (?, ?, ?)').run(id, jarVersion, jar ?? null);
      if (person === undefined) return;
      const unused = this.#sql(
        'SELECT id FROM families WHERE person = ? AND alive = 1 AND id <> ? ORDER BY seen_ms DESC LIMIT -1 OFFSET ?',
      ).all(person, id, perPerson - 1);
      for (const row of unused) this.#end(String(row['id']), 'evicted', ended);
    });
  }

  async use(
    id: string,
    hash: string,
    passive: boolean,
    limits: FamilyLimits,
  ): Promise<{ outcome: UseOutcome; family: StoredFamily } | undefined> {
    return this.#transact((ended) => {
      const family = this.#read(id);
      if (family === undefined) return undefined;
      const [outcome, state] = this.#transitions.use(family.state, this.#clock.now(), hash, passive, limits);
      this.#write(family, state, ended);
      return { outcome, family: { ...family, state } };
    });
  }

  async issue(
    id: string,
    hash: string,
    childHash: string,
    limits: FamilyLimits,
  ): Promise<{ outcome: IssueOutcome; state: FamilyState } | undefined> {
    return this.#transact((ended) => {
      const family = this.#read(id);
      if (family === undefined) return undefined;
      const [outcome, state] = this.#transitions.issue(
        family.state,
        this.#clock.now(),
        hash,
        childHash,
        limits,
      );
      this.#write(family, state, ended);
      return { outcome, state };
    });
  }

  async replaceJar(id: string, jar: Uint8Array, expectedVersion: number): Promise<boolean> {
    return this.#run(
      'UPDATE jars SET sealed = ?, version = version + 1 WHERE id = ? AND version = ?',
      jar,
      id,
      expectedVersion,
    );
  }

  async end(id: string, reason: EndReason): Promise<boolean> {
    return this.#transact((ended) => this.#end(id, reason, ended));
  }

  async endPerson(person: string, reason: EndReason, exceptId = ''): Promise<number> {
    return this.#transact((ended) => {
      const rows = this.#sql('SELECT id FROM families WHERE person = ? AND alive = 1 AND id <> ?').all(
        person,
        exceptId,
      );
      for (const row of rows) this.#end(String(row['id']), reason, ended);
      return rows.length;
    });
  }

  async touch(id: string, seenMs: number): Promise<void> {
    const seen = Math.min(seenMs, this.#clock.now());
    this.#run('UPDATE families SET seen_ms = ? WHERE id = ? AND alive = 1 AND seen_ms < ?', seen, id, seen);
  }

  async expire(id: string, limits: FamilyLimits): Promise<void> {
    this.#transact((ended) => {
      const family = this.#read(id);
      if (family?.state.status !== 'active') return;
      const over = this.#transitions.expired(family.state, this.#clock.now(), limits);
      if (over !== undefined) this.#end(id, over, ended);
    });
  }

  async list(person?: string): Promise<StoredFamily[]> {
    return this.#guard(() => {
      const chosen = person === undefined ? '' : 'AND person = ?';
      const rows = this.#sql(
        `SELECT * FROM ${JOINED} WHERE alive = 1 AND ends_ms > ? ${chosen} ORDER BY created_ms DESC, families.rowid DESC`,
      ).all(this.#clock.now(), ...(person === undefined ? [] : [person]));
      return rows.map(familyOf);
    });
  }

  async count(): Promise<number> {
    return this.#guard(() => {
      const row = this.#sql(
        'SELECT count(*) AS n FROM families WHERE alive = 1 AND person IS NOT NULL AND ends_ms > ?',
      ).get(this.#clock.now());
      return Number(row?.['n']);
    });
  }

  async sweep(idleMs: number): Promise<number> {
    const now = this.#clock.now();
    return this.#transact((ended) => {
      const late = this.#sql('SELECT id FROM families WHERE ends_ms <= ? AND alive = 1 LIMIT ?');
      for (const row of late.all(now, SWEEP_LIMIT)) this.#end(String(row['id']), 'lifetime', ended);
      const silent = this.#sql('SELECT id FROM families WHERE seen_ms <= ? AND alive = 1 LIMIT ?');
      for (const row of silent.all(now - idleMs, SWEEP_LIMIT)) this.#end(String(row['id']), 'idle', ended);
      return Number(this.#sql('DELETE FROM families WHERE ends_ms <= ? AND alive = 0').run(now).changes);
    });
  }

  onEnd(listener: EndListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    this.#listeners.clear();
    if (this.#database.isOpen) this.#database.close();
  }

  #read(id: string): StoredFamily | undefined {
    const row = this.#sql(`SELECT * FROM ${JOINED} WHERE id = ?`).get(id);
    const family = row === undefined ? undefined : familyOf(row);
    // Past its lifetime a family that is still "active" has to be told so once; a dead one is as good as forgotten.
    const over = family?.state.status === 'dead' && family.state.endsMs <= this.#clock.now();
    return over ? undefined : family;
  }

  #write(before: StoredFamily, state: FamilyState, ended: (id: string, reason: EndReason) => void): void {
    if (state === before.state) return;
    this.#sql(`UPDATE families SET (${STATE_COLUMNS}) = (?${',?'.repeat(8)}) WHERE id = ? AND alive = 1`).run(
      ...stateValues(state),
      before.id,
    );
    if (state.status === 'dead' && state.reason !== '') {
      this.#strip(before.id);
      ended(before.id, state.reason);
    }
  }

  #end(id: string, reason: EndReason, ended: (id: string, reason: EndReason) => void): boolean {
    const family = this.#read(id);
    if (family?.state.status !== 'active') return false;
    this.#write(family, this.#transitions.end(family.state, reason), ended);
    return true;
  }

  /** A dead family keeps its reason until its lifetime is over, and nothing that is anybody's data. */
  #strip(id: string): void {
    this.#sql('UPDATE families SET person = NULL, profile = ? WHERE id = ?').run(NO_PROFILE, id);
    this.#sql('DELETE FROM jars WHERE id = ?').run(id);
  }

  #sql(text: string): StatementSync {
    let statement = this.#statements.get(text);
    if (statement === undefined) {
      statement = this.#database.prepare(text);
      this.#statements.set(text, statement);
    }
    return statement;
  }

  #run(text: string, ...values: SQLInputValue[]): boolean {
    return this.#guard(() => this.#sql(text).run(...values).changes === 1);
  }

  #transact<T>(work: Work<T>): T {
    const ends: [string, EndReason][] = [];
    const result = this.#guard(() => {
      this.#sql('BEGIN IMMEDIATE').run();
      const value = work((id, reason) => ends.push([id, reason]));
      this.#sql('COMMIT').run();
      return value;
    });
    try {
      if (ends.length > 0) this.#guard(() => this.#sync(ends.length));
    } finally {
      // Also when the disk refused the flush: for this process the families are over.
      for (const [id, reason] of ends) {
        for (const listener of this.#listeners) listener(id, reason, false);
      }
    }
    return result;
  }

  /**
   * Makes ends durable: a commit under `synchronous = FULL` flushes the whole log, also what was committed before.
   * Whether a transaction ends a family is known only inside it, when the setting can no longer change.
   */
  #sync(count: number): void {
    this.#database.exec('PRAGMA synchronous = FULL');
    try {
      this.#sql('UPDATE ends SET count = count + ?').run(count);
    } finally {
      this.#database.exec('PRAGMA synchronous = NORMAL');
    }
  }

  #guard<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (this.#database.isOpen && this.#database.isTransaction) this.#database.exec('ROLLBACK');
      const why = error instanceof Error ? error.message : String(error);
      throw new GatewayError('store_unavailable', `the session store failed: ${why}`, {
        cause: error,
        retryAfterSeconds: 1,
      });
    }
  }
}
