import type { RecordKind, RecordStore, StoredRecord } from '../store/record-store.ts';

/** Records on their way from a backup into a store, where they can be looked at and added to first. */
export class MemoryRecords implements RecordStore {
  readonly #records = new Map<string, StoredRecord>();

  /** Takes a record from a backup or its journal; of two versions the higher one stays. */
  take(record: StoredRecord): void {
    const name = nameOf(record.kind, record.id);
    if ((this.#records.get(name)?.version ?? 0) < record.version) this.#records.set(name, record);
  }

  /** Removes what is not to come back. */
  drop(kind: RecordKind, id: string): void {
    this.#records.delete(nameOf(kind, id));
  }

  all(): StoredRecord[] {
    return [...this.#records.values()];
  }

  isFresh(): boolean {
    return true;
  }

  async read(kind: RecordKind, id: string): Promise<StoredRecord | undefined> {
    return this.#records.get(nameOf(kind, id));
  }

  async list(kind: RecordKind): Promise<StoredRecord[]> {
    return this.all().filter((record) => record.kind === kind);
  }

  async write(record: StoredRecord): Promise<boolean> {
    const name = nameOf(record.kind, record.id);
    if ((this.#records.get(name)?.version ?? 0) !== record.version - 1) return false;
    this.#records.set(name, record);
    return true;
  }

  async forget(kind: RecordKind, id: string, version: number): Promise<boolean> {
    const name = nameOf(kind, id);
    return this.#records.get(name)?.version === version && this.#records.delete(name);
  }

  onChange(): () => void {
    return () => undefined;
  }
}

function nameOf(kind: RecordKind, id: string): string {
  return `${kind}/${id}`;
}
