import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';

import { canonicalJson } from '../core/canonical-json.ts';
import type { AuditEntry, EntryWriter } from './audit-queue.ts';

/** Appends records to one file of this process. */
export function createPlainWriter(directory: string): EntryWriter {
  let sequence = 0;
  return {
    async append(entries) {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      const lines = entries.map((entry, index) => lineOf(entry, sequence + index + 1));
      const file = await open(join(directory, `${process.pid}.jsonl`), 'a', 0o600);
      try {
        await file.write(lines.join(''));
        await file.datasync();
      } finally {
        await file.close();
      }
      const first = sequence + 1;
      sequence += entries.length;
      return first;
    },
  };
}

function lineOf({ atMs, event, facts }: AuditEntry, sequence: number): string {
  return `${canonicalJson({ sequence, time: new Date(atMs).toISOString(), event, facts })}\n`;
}
