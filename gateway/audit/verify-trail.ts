import { createHash } from 'node:crypto';

import type { TrailVerifier } from './audit-keys.ts';
import { isCheckpoint, parseLine } from './audit-record.ts';
import { ChainCheck } from './chain-check.ts';
import { isVouchedFor, othersOf, type RestoredClaim, restoredClaims } from './restored-chains.ts';
import { listTrail, readLines, type TrailFile } from './trail-file.ts';
import { type HeadReading, listHeads, readHead } from './trail-head.ts';
import { mergeProblems, type TrailProblem, type TrailReport } from './trail-report.ts';

/** Where a trail and its heads are. */
export interface TrailPlace {
  readonly directory: string;
  /** The directories of the heads: one for each node that writes to this trail. */
  readonly heads: readonly string[];
}

/** That a writer had a record with this hash, and who says so. */
export interface TrailClaim {
  readonly writer: string;
  readonly seq: number;
  readonly hash: string;
  readonly by: string;
}

const NO_HEAD: HeadReading = { kind: 'missing' };

type Claims = Map<string, Map<number, { hash: string; by: string }[]>>;

/**
 * Checks a trail: every chain against its hashes, signatures and codes, its end against the signed head, and every
 * writer against what the others saw of it. Changes nothing, works while the gateway runs, and needs no network.
 *
 * @param anchors what was kept elsewhere, such as the checkpoints of a log.
 * @throws the system's error when a file that is there cannot be read.
 */
export async function verifyTrail(
  { directory, heads }: TrailPlace,
  keys: TrailVerifier,
  anchors: readonly TrailClaim[] = [],
): Promise<TrailReport> {
  // Before the files: what is written from here on is only ever more than the heads say.
  const readings = await readHeads(heads, keys);
  const { claims, restored } = await gatherClaims(readings, await listTrail(directory), keys, anchors);
  // Once more: a file that was begun meanwhile may hold what a checkpoint has just been seen to vouch for.
  const files = await listTrail(directory);
  const writers = new Set([...readings.keys(), ...files.keys(), ...claims.keys(), ...restored.keys()]);
  const checks: ChainCheck[] = [];
  const problems: TrailProblem[] = [];
  for (const writer of [...writers].toSorted()) {
    const check = await checkWriter(writer, files.get(writer) ?? [], keys, claims.get(writer) ?? new Map());
    check.takeRestored(restored.get(writer));
    const before = readings.get(writer) ?? NO_HEAD;
    const after = (await readHeads(heads, keys)).get(writer) ?? NO_HEAD;
    check.finish(before, isLater(after, before));
    problems.push(...mergeProblems(check.problems));
    checks.push(check);
  }
  if (checks.length === 0) problems.push({ kind: 'missing', writer: '-', says: 'there is no trail here' });
  return {
    ok: problems.length === 0,
    writers: checks.map(({ report }) => report),
    gaps: checks.flatMap(({ gap }) => (gap === undefined ? [] : [gap])),
    problems,
  };
}

async function readHeads(heads: readonly string[], keys: TrailVerifier): Promise<Map<string, HeadReading>> {
  const readings = new Map<string, HeadReading>();
  for (const directory of heads)
    for (const writer of await listHeads(directory))
      readings.set(writer, await readHead(directory, writer, keys));
  return readings;
}

async function checkWriter(
  writer: string,
  files: readonly TrailFile[],
  keys: TrailVerifier,
  claims: ReadonlyMap<number, { hash: string; by: string }[]>,
): Promise<ChainCheck> {
  const check = new ChainCheck(writer, keys, claims);
  for (const file of files) {
    check.beginFile(file);
    for await (const line of readLines(file.path)) {
      if (line.isWhole) check.takeLine(file, line);
      else
        check.takeRemains({
          file: file.name,
          line: line.number,
          bytes: line.end - line.start,
          sha256: createHash('sha256').update(line.bytes).digest('hex'),
        });
    }
  }
  return check;
}

async function gatherClaims(
  readings: ReadonlyMap<string, HeadReading>,
  files: ReadonlyMap<string, readonly TrailFile[]>,
  keys: TrailVerifier,
  anchors: readonly TrailClaim[],
): Promise<{ claims: Claims; restored: Map<string, RestoredClaim> }> {
  const claims: Claims = new Map();
  const restored = new Map<string, RestoredClaim>();
  const add = ({ writer, seq, hash, by }: TrailClaim) => {
    const ofWriter = claims.get(writer) ?? new Map<number, { hash: string; by: string }[]>();
    claims.set(writer, ofWriter);
    ofWriter.set(seq, [...(ofWriter.get(seq) ?? []), { hash, by }]);
  };
  for (const anchor of anchors) add(anchor);
  for (const reading of readings.values())
    if (reading.kind === 'good') add({ ...reading.head, by: 'the signed head' });
  for await (const claim of allWitnessed([...files.values()].flat(), keys)) {
    // Of a chain that came back more than once, the record that knows most of it counts.
    const before = restored.get(claim.writer);
    if ('archive' in claim && claim.through >= (before?.through ?? 0)) restored.set(claim.writer, claim);
    if (claim.seq > 0) add(claim);
  }
  return { claims, restored };
}

async function* allWitnessed(files: readonly TrailFile[], keys: TrailVerifier) {
  for (const file of files)
    for await (const { text } of readLines(file.path))
      if (text.startsWith('{"event":"trail.')) yield* witnessed(text, keys);
}

/** What a signed checkpoint says of the other writers. */
function witnessed(text: string, keys: TrailVerifier): (TrailClaim | RestoredClaim)[] {
  const record = parseLine(text);
  if (record === undefined || !isCheckpoint(record) || !isVouchedFor(record, keys)) return [];
  const by = `the checkpoint ${record.seq} of ${record.writer}`;
  return [...othersOf(record).map((other) => ({ ...other, by })), ...restoredClaims(record)];
}

function isLater(after: HeadReading, before: HeadReading): boolean {
  if (after.kind !== 'good') return false;
  return !('head' in before) || after.head.seq > before.head.seq;
}
