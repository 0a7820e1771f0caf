import { cpSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

import { type AuditEntry, AuditQueue } from '../../gateway/audit/audit-queue.ts';
import { type AuditKeys, createAuditKeys } from '../../gateway/audit/audit-keys.ts';
import type { AuditRecord } from '../../gateway/audit/audit-record.ts';
import { headsDirectory } from '../../gateway/audit/trail-head.ts';
import { TrailWriter, type TrailWriterOptions } from '../../gateway/audit/trail-writer.ts';
import { parseKeyring } from '../../gateway/crypto/keyring.ts';
import { ManualClock } from '../support/manual-clock.ts';

/** A trail in a directory of its own, with the keys to it. */
export class TrailFixture {
  readonly data: string;
  readonly directory: string;
  readonly heads: string;
  readonly keys: AuditKeys;
  readonly clock = new ManualClock();

  constructor(data: string, master = `1:${'A'.repeat(43)}`) {
    this.data = data;
    this.directory = join(data, 'audit');
    this.heads = headsDirectory(data);
    this.keys = createAuditKeys(parseKeyring(master));
  }

  /** What kill -9 of all writers would leave now: the files as they are, and nobody who holds a name. */
  killed(): TrailFixture {
    const data = mkdtempSync(`${this.data}-killed-`);
    cpSync(this.data, data, { recursive: true });
    const copy = new TrailFixture(data);
    copy.clock.advance(this.clock.now() - copy.clock.now());
    return copy;
  }

  /** The writer of one process. */
  writer(more: Partial<TrailWriterOptions> = {}): TrailWriter {
    const { directory, heads, keys, clock } = this;
    return new TrailWriter({
      directory,
      heads,
      keys,
      clock,
      process: { pid: 1, role: 'gateway', version: '0.1.0' },
      signed: () => undefined,
      ...more,
    });
  }

  /** A queue on a writer of its own. */
  queue(more: Partial<TrailWriterOptions> = {}): AuditQueue {
    const observer = {
      written: () => undefined,
      lost: () => undefined,
      failed: () => undefined,
      recovered: () => undefined,
    };
    return new AuditQueue({ writer: this.writer(more), clock: this.clock, observer });
  }

  /** Entries as events of ordinary traffic make them. */
  entries(count: number, from = 0): AuditEntry[] {
    return Array.from({ length: count }, (_, index) => ({
      atMs: this.clock.now(),
      event: 'session.signed_in',
      facts: { session: `s${from + index}` },
      person: { account: 'acme', subject: `person ${from + index}` },
    }));
  }

  get place(): { directory: string; heads: string[] } {
    return { directory: this.directory, heads: [this.heads] };
  }

  get files(): string[] {
    return readdirSync(this.directory)
      .filter((name) => name.endsWith('.jsonl'))
      .toSorted()
      .map((name) => join(this.directory, name));
  }

  linesOf(file: string): string[] {
    return readFileSync(file, 'utf8').split('\n').slice(0, -1);
  }

  get records(): AuditRecord[] {
    return this.files.flatMap((file) => this.linesOf(file)).map((line) => JSON.parse(line) as AuditRecord);
  }
}
