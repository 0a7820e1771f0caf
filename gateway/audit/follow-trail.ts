import { stat } from 'node:fs/promises';

import { type AuditRecord, parseLine } from './audit-record.ts';
import { listTrail, readLines, type TrailFile } from './trail-file.ts';

/** Reads a trail as it grows, across files and writers. Does not check it: that is `verifyTrail`. */
export class TrailFollower {
  readonly #directory: string;
  /** How far each file has been read, in bytes. */
  readonly #read = new Map<string, number>();

  constructor(directory: string) {
    this.#directory = directory;
  }

  /**
   * The last records that are wanted, in order of time, and everything before them counts as read.
   *
   * @param count how many at most.
   */
  async last(count: number, isWanted: (record: AuditRecord) => boolean): Promise<AuditRecord[]> {
    const found: AuditRecord[] = [];
    for (const files of (await listTrail(this.#directory)).values()) {
      let ofWriter: AuditRecord[] = [];
      for (const file of files.toReversed()) {
        if (ofWriter.length >= count) this.#read.set(file.name, (await stat(file.path)).size);
        else ofWriter = [...(await this.#records(file)).filter(isWanted), ...ofWriter];
      }
      found.push(...ofWriter.slice(-count));
    }
    return count === 0 ? [] : inOrder(found).slice(-count);
  }

  /** Records that were written since the last call, in order of time. */
  async next(): Promise<AuditRecord[]> {
    const found: AuditRecord[] = [];
    for (const files of (await listTrail(this.#directory)).values())
      for (const file of files) found.push(...(await this.#records(file)));
    return inOrder(found);
  }

  async #records(file: TrailFile): Promise<AuditRecord[]> {
    const from = this.#read.get(file.name) ?? 0;
    if ((await stat(file.path)).size <= from) return [];
    const records: AuditRecord[] = [];
    for await (const { text, end, isWhole } of readLines(file.path, from)) {
      if (!isWhole) break;
      this.#read.set(file.name, end);
      const record = parseLine(text);
      if (record !== undefined) records.push(record);
    }
    return records;
  }
}

function inOrder(records: readonly AuditRecord[]): AuditRecord[] {
  // Stable, so the records of one writer stay in their own order whatever its clock did.
  return records.toSorted((one, other) => (one.time < other.time ? -1 : Number(one.time > other.time)));
}
