import { randomUUID } from 'node:crypto';
import { EventEmitter } from 'node:events';
import type { Operation, RecordKind, RecordValues } from './crm-record.ts';

/** A page of the change feed. */
export interface Changes {
  /** Changes with every start of the node; a reader that sees a new one begins again from 0. */
  readonly boot: string;
  /** Position to ask from next time. */
  readonly position: number;
  readonly hasMore: boolean;
  readonly operations: readonly Operation[];
}

interface Entry {
  readonly operation: Operation;
  readonly position: number;
}

interface ReplicaEvents {
  /** A write of this node, to be pushed to peers, and the number of the one before it. */
  written: [operation: Operation, before: number];
  /** Any write that won, local or from a peer, with the operation it replaced. */
  applied: [operation: Operation, previous: Operation | undefined];
}

const PAGE = 1000;

/** Visits per account; the oldest anonymous ones make room, so that a flood of strangers costs little memory. */
const VISIT_LIMIT = 5000;

/**
 * All records of one node in memory: a last-writer-wins map with a feed of its latest changes.
 *
 * The feed is the map itself: each applied operation moves to its end under a new position, so a reader that was
 * away for an hour gets every record's last state once, and nothing else has to be kept.
 */
export class Replica extends EventEmitter<ReplicaEvents> {
  readonly boot = randomUUID();
  readonly #node: string;
  readonly #feed = new Map<string, Entry>();
  readonly #tables = new Map<string, Map<string, Operation>>();
  #lamport = 0;
  #written = 0;
  #position = 0;

  constructor(node: string) {
    super();
    this.setMaxListeners(0);
    this.#node = node;
  }

  /** The number of the last write that was seen here. */
  get lamport(): number {
    return this.#lamport;
  }

  /** The number of the last write of this node itself. */
  get written(): number {
    return this.#written;
  }

  /** The value of a record; `undefined` when it never was or is deleted. */
  get<K extends RecordKind>(kind: K, account: string, id: string): RecordValues[K] | undefined {
    const value = this.#table(kind, account).get(id)?.value;
    return (value ?? undefined) as RecordValues[K] | undefined;
  }

  /** All living records of a kind, by id. */
  list<K extends RecordKind>(kind: K, account: string): [string, RecordValues[K]][] {
    const rows: [string, RecordValues[K]][] = [];
    for (const [id, { value }] of this.#table(kind, account))
      if (value !== null) rows.push([id, value as RecordValues[K]]);
    return rows;
  }

  /** Records of a kind including deleted ones, which still take memory. */
  size(kind: RecordKind, account: string): number {
    return this.#table(kind, account).size;
  }

  /** Writes a record here, later than everything this node has seen. `null` deletes. */
  put<K extends RecordKind>(kind: K, account: string, id: string, value: RecordValues[K] | null): void {
    const before = this.#written;
    const operation = { lamport: this.#lamport + 1, node: this.#node, account, kind, id, value };
    this.#written = operation.lamport;
    this.apply(operation);
    this.emit('written', operation, before);
  }

  /** Takes an operation from anywhere; an older one than what is here changes nothing. */
  apply(operation: Operation): void {
    const key = `${operation.kind}/${operation.account}/${operation.id}`;
    const previous = this.#feed.get(key)?.operation;
    this.#lamport = Math.max(this.#lamport, operation.lamport);
    if (previous !== undefined && !isLater(operation, previous)) return;
    this.#feed.delete(key);
    this.#position += 1;
    this.#feed.set(key, { operation, position: this.#position });
    this.#table(operation.kind, operation.account).set(operation.id, operation);
    if (operation.kind === 'visit' && previous === undefined) this.#dropOldVisits(operation.account);
    this.emit('applied', operation, previous);
  }

  /** What changed after a position; a reader of another boot gets everything. */
  changesAfter(boot: string, after: number): Changes {
    const from = boot === this.boot ? after : 0;
    const operations: Operation[] = [];
    let position = from;
    if (from >= this.#position) return { boot: this.boot, position, hasMore: false, operations };
    for (const entry of this.#feed.values()) {
      if (entry.position <= from) continue;
      operations.push(entry.operation);
      position = entry.position;
      if (operations.length === PAGE) break;
    }
    return { boot: this.boot, position, hasMore: operations.length === PAGE, operations };
  }

  #table(kind: RecordKind, account: string): Map<string, Operation> {
    const name = `${kind}/${account}`;
    let table = this.#tables.get(name);
    if (table === undefined) {
      table = new Map();
      this.#tables.set(name, table);
    }
    return table;
  }

  #dropOldVisits(account: string): void {
    const visits = this.#table('visit', account);
    if (visits.size <= VISIT_LIMIT) return;
    let oldest: string | undefined;
    for (const [id, { value }] of visits) {
      oldest ??= id;
      if (value !== null && 'csrf' in value && value.login !== '') continue;
      oldest = id;
      break;
    }
    if (oldest === undefined) return;
    visits.delete(oldest);
    this.#feed.delete(`visit/${account}/${oldest}`);
  }
}

function isLater(candidate: Operation, present: Operation): boolean {
  return candidate.lamport === present.lamport
    ? candidate.node > present.node
    : candidate.lamport > present.lamport;
}
