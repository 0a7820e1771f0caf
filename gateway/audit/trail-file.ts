import { createReadStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** One file of one writer. */
export interface TrailFile {
  readonly name: string;
  readonly path: string;
  readonly writer: string;
  readonly number: number;
}

/** A line as it stands in a file. */
export interface TrailLine {
  readonly text: string;
  /** The same as it stands there. */
  readonly bytes: Buffer;
  /** The first is 1. */
  readonly number: number;
  /** Where it begins in the file, in bytes. */
  readonly start: number;
  /** Where the next one begins. */
  readonly end: number;
  /** Whether its line break is there; without one, a write was cut off, or is under way. */
  readonly isWhole: boolean;
}

const NAME = /^([0-9a-f]{8}-\d{1,4})\.(\d{6})\.jsonl$/;
/** No record is longer; what is, is read in pieces, none of which is a record. */
const LINE_LIMIT = 256 * 1024;
const LINE_BREAK = 10;

/** The name of a writer's file. */
export function trailFileName(writer: string, number: number): string {
  return `${writer}.${String(number).padStart(6, '0')}.jsonl`;
}

/** The files of a trail in their order, by writer. A directory that is not there holds none. */
export async function listTrail(directory: string): Promise<Map<string, TrailFile[]>> {
  const names = await readdir(directory).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  });
  const files = new Map<string, TrailFile[]>();
  for (const name of names.toSorted((one, other) => (one < other ? -1 : 1))) {
    const [, writer = '', number = ''] = NAME.exec(name) ?? [];
    if (writer === '') continue;
    const list = files.get(writer) ?? [];
    list.push({ name, path: join(directory, name), writer, number: Number(number) });
    files.set(writer, list);
  }
  return files;
}

/** Reads the lines of a file from a place on. @param from where a line begins, in bytes. */
export async function* readLines(path: string, from = 0): AsyncGenerator<TrailLine> {
  let rest: Buffer = Buffer.alloc(0);
  let start = from;
  let number = 0;
  for await (const chunk of createReadStream(path, { start: from }) as AsyncIterable<Buffer>) {
    let bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    for (;;) {
      const found = bytes.indexOf(LINE_BREAK);
      const isLong = found === -1 && bytes.length > LINE_LIMIT;
      if (found === -1 && !isLong) break;
      const length = isLong ? bytes.length : found;
      const end = start + length + (isLong ? 0 : 1);
      number += 1;
      const line = bytes.subarray(0, length);
      yield { text: line.toString(), bytes: line, number, start, end, isWhole: true };
      bytes = bytes.subarray(end - start);
      start = end;
    }
    rest = bytes;
  }
  if (rest.length > 0)
    yield {
      text: rest.toString(),
      bytes: rest,
      number: number + 1,
      start,
      end: start + rest.length,
      isWhole: false,
    };
}
