/** Reads an archive back whole in a process of its own, so that its memory can be told from anybody else's. */
import { createReadStream } from 'node:fs';

import { readArchive } from '../../gateway/backup/read-archive.ts';
import { peakBytes } from './process-meter.ts';

/** What the reader is told. */
export interface ReadOrder {
  readonly archive: string;
  readonly identity: string;
}

/** What it found. */
export interface ReadReport {
  readonly keys: number;
  readonly records: number;
  readonly seconds: number;
  readonly peakBytes: number;
}

const LINE_BREAK = 10;

async function read({ archive, identity }: ReadOrder): Promise<ReadReport> {
  const began = performance.now();
  let records = 0;
  const source = createReadStream(archive) as AsyncIterable<Uint8Array>;
  const { manifest } = await readArchive(source, { identities: [identity] }, async ({ path, body }) => {
    if (!path.startsWith('audit/trail/')) return;
    for await (const chunk of body) records += linesIn(chunk);
  });
  const seconds = (performance.now() - began) / 1000;
  const keys = manifest.sections.find(({ name }) => name === 'keys')?.records ?? 0;
  return { keys, records, seconds, peakBytes: peakBytes(process.pid) };
}

function linesIn(chunk: Uint8Array): number {
  let lines = 0;
  for (let at = chunk.indexOf(LINE_BREAK); at !== -1; at = chunk.indexOf(LINE_BREAK, at + 1)) lines += 1;
  return lines;
}

process.once('disconnect', () => process.exit(1));
process.once('message', (order: ReadOrder) => {
  void read(order).then((report) => process.send?.(report, () => process.exit(0)));
});
