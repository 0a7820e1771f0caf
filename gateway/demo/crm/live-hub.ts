import type { Operation } from './crm-record.ts';
import { titleOf } from './record-field.ts';
import type { Replica } from './replica.ts';

/** A change as live feeds tell it. */
export interface LiveChange {
  readonly type: 'change';
  readonly entity: 'lead' | 'contact';
  readonly id: string;
  readonly action: 'created' | 'updated' | 'deleted';
  readonly title: string;
  /** Login of the writer; empty for a deletion. */
  readonly by: string;
  readonly atMs: number;
}

/** Who listens: one WebSocket or one event stream. */
export interface LiveListener {
  readonly account: string;
  readonly send: (change: LiveChange) => void;
  readonly close: () => void;
}

const LISTENER_LIMIT = 1000;

/** Tells every open feed of an account what changed in it, whichever node the change was made on. */
export class LiveHub {
  readonly #listeners = new Set<LiveListener>();
  readonly #now: () => number;

  constructor(replica: Replica, now: () => number) {
    this.#now = now;
    replica.on('applied', (operation, previous) => this.#tell(operation, previous));
  }

  /** Adds a listener; `false` when there are too many. */
  add(listener: LiveListener): boolean {
    if (this.#listeners.size >= LISTENER_LIMIT) return false;
    this.#listeners.add(listener);
    return true;
  }

  /** Removes a listener; one that is not there is fine. */
  remove(listener: LiveListener): void {
    this.#listeners.delete(listener);
  }

  /** Ends every feed. */
  close(): void {
    for (const listener of this.#listeners) listener.close();
    this.#listeners.clear();
  }

  #tell(operation: Operation, previous: Operation | undefined): void {
    if (this.#listeners.size === 0) return;
    const change = this.#describe(operation, previous);
    if (change === undefined) return;
    for (const listener of this.#listeners) if (listener.account === operation.account) listener.send(change);
  }

  #describe({ kind, id, value }: Operation, previous: Operation | undefined): LiveChange | undefined {
    if (kind !== 'lead' && kind !== 'contact') return undefined;
    const before = previous?.value ?? null;
    const record = value ?? before;
    if (record === null || !('fields' in record)) return undefined;
    const present = before === null ? 'created' : 'updated';
    return {
      type: 'change',
      entity: kind,
      id,
      action: value === null ? 'deleted' : present,
      title: titleOf(kind, record),
      by: value === null ? '' : record.updatedBy,
      atMs: this.#now(),
    };
  }
}
