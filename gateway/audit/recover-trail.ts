import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';

import type { AuditFacts } from '../core/audit-event.ts';
import type { AuditKeys } from './audit-keys.ts';
import { type AuditRecord, bodyText, GENESIS, hashOf, parseLine } from './audit-record.ts';
import { listTrail, readLines, type TrailFile } from './trail-file.ts';
import { type HeadReading, readHead, type TrailHead } from './trail-head.ts';

/** Where a writer's chain goes on, and what the record that says so must tell. */
export interface TrailEnd {
  readonly seq: number;
  readonly hash: string;
  /** The number of the file that comes next. */
  readonly nextFile: number;
  readonly facts: AuditFacts;
}

interface Reached {
  readonly seq: number;
  readonly hash: string;
}

/**
 * Finds the end of a writer's chain after a stop of whatever kind: the signed head, and the records that were written
 * in the moment between the last write and its head. A last line without an end is what a crash leaves; it stays where
 * it is, and its length and hash go on record. Whatever else is found does not keep the chain from going on from its
 * signed head, so that it stays visible for ever.
 */
export async function recoverTrail(place: {
  readonly directory: string;
  readonly heads: string;
  readonly writer: string;
  readonly keys: AuditKeys;
}): Promise<TrailEnd> {
  const { directory, heads, writer, keys } = place;
  const reading = await readHead(heads, writer, keys);
  const files = (await listTrail(directory)).get(writer) ?? [];
  if (reading.kind === 'missing' && files.length === 0)
    return { seq: 0, hash: GENESIS, nextFile: 1, facts: { first: true } };
  const head = 'head' in reading ? reading.head : undefined;
  const headNumber = numberOf(head?.file);
  const following = head === undefined ? files.slice(-1) : files.filter(({ number }) => number >= headNumber);
  const scanned = await scan(following, head, (record) => {
    const check = keys.checkMac(bodyText(record), record.mac);
    // Whoever changed the master key without keeping the old one goes on from a head that nobody can check.
    return check === 'good' || (reading.kind === 'unknown_key' && check === 'unknown');
  });
  const isCut = head !== undefined && !(await holds(following[0], head));
  return {
    ...(scanned.reached ?? { seq: 0, hash: GENESIS }),
    nextFile: Math.max(headNumber, ...files.map(({ number }) => number)) + 1,
    facts: {
      head: reading.kind === 'good' ? undefined : reading.kind,
      damage: damageOf(reading, isCut, scanned.isDamaged),
      ...scanned.remains,
    },
  };
}

function damageOf(reading: HeadReading, isCut: boolean, isDamaged: boolean): string | undefined {
  if (isCut) return 'records up to the signed head are missing';
  if (isDamaged) return 'lines behind the last record are none of this gateway';
  return reading.kind === 'damaged' ? 'the signed head cannot be read' : undefined;
}

function numberOf(file: string | undefined): number {
  return Number(file?.split('.').at(-2) ?? 0);
}

async function holds(file: TrailFile | undefined, head: TrailHead): Promise<boolean> {
  return file?.name === head.file && (await stat(file.path)).size >= head.bytes;
}

/** Follows the chain through files, from a record that is known or from whatever the first line says. */
async function scan(
  files: readonly TrailFile[],
  head: TrailHead | undefined,
  isOwn: (record: AuditRecord) => boolean,
) {
  let reached: Reached | undefined = head === undefined ? undefined : { seq: head.seq, hash: head.hash };
  let remains: AuditFacts = {};
  let isDamaged = false;
  for (const [index, file] of files.entries()) {
    remains = {};
    const { size } = await stat(file.path);
    const from = index === 0 ? Math.min(head?.bytes ?? 0, size) : 0;
    for await (const line of readLines(file.path, from)) {
      const next = line.isWhole ? follows(line.text, reached, isOwn) : undefined;
      if (next !== undefined) {
        reached = next;
        continue;
      }
      isDamaged ||= line.isWhole;
      remains = await remainsOf(file, line.start);
      break;
    }
  }
  return { reached, remains, isDamaged };
}

function follows(
  text: string,
  reached: Reached | undefined,
  isOwn: (record: AuditRecord) => boolean,
): Reached | undefined {
  const record = parseLine(text);
  if (record === undefined || hashOf(record) !== record.hash || !isOwn(record)) return undefined;
  const isNext = reached === undefined || (record.seq === reached.seq + 1 && record.prev === reached.hash);
  return isNext ? { seq: record.seq, hash: record.hash } : undefined;
}

async function remainsOf(file: TrailFile, from: number): Promise<AuditFacts> {
  const digest = createHash('sha256');
  let bytes = 0;
  for await (const chunk of createReadStream(file.path, { start: from }) as AsyncIterable<Buffer>) {
    digest.update(chunk);
    bytes += chunk.length;
  }
  return { remains: bytes, remains_sha256: digest.digest('hex') };
}
