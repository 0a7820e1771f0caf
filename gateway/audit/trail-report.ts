/** What is wrong at a place of a trail. */
export type ProblemKind =
  /** Bytes that are no record in its form, or whose hash is another. */
  | 'edited'
  /** Records are missing between two that are there. */
  | 'removed'
  /** A record stands behind one that came later. */
  | 'reordered'
  /** A sequence number stands a second time. */
  | 'duplicated'
  /** A record of another writer, or one that does not follow the one before it. */
  | 'replaced'
  /** Hashes were made anew by somebody without the key. */
  | 'forged'
  /** The end is missing. */
  | 'truncated'
  /** A writer, or its signed head, is missing as a whole. */
  | 'missing'
  /** Nothing that is at hand vouches for these records. */
  | 'unsigned';

/** One finding, with its exact place. */
export interface TrailProblem {
  readonly kind: ProblemKind;
  readonly writer: string;
  /** Name of the file; absent when what is missing has none. */
  readonly file?: string | undefined;
  /** The first is 1. */
  readonly line?: number | undefined;
  /** The record's number; with `to`, the first of several. */
  readonly seq?: number | undefined;
  readonly to?: number | undefined;
  readonly says: string;
}

/** What was found of one writer. */
export interface WriterReport {
  readonly writer: string;
  readonly files: number;
  readonly records: number;
  readonly checkpoints: number;
  /** Ends without a farewell: kill -9, a crash, a loss of power. */
  readonly crashes: number;
  /** Records lost while the trail could not be written, as it says itself. */
  readonly lost: number;
  readonly first: string | undefined;
  readonly last: string | undefined;
}

/** Records that a loss took and a restore could not bring back, as the restored trail says itself. */
export interface TrailGap {
  readonly writer: string;
  /** The first that is missing. */
  readonly from: number;
  /** The last that is known to have been there; absent where nobody knows of any. */
  readonly to: number | undefined;
  /** The backup that the chain came back from, and when. */
  readonly archive: string;
  readonly restored: string;
}

/** What `zasov audit verify` found. */
export interface TrailReport {
  readonly ok: boolean;
  /** What is missing and accounted for. */
  readonly gaps: readonly TrailGap[];
  readonly writers: readonly WriterReport[];
  readonly problems: readonly TrailProblem[];
}

/** Findings that follow one another and say the same of neighbouring records become one with a range. */
export function mergeProblems(problems: readonly TrailProblem[]): TrailProblem[] {
  const merged: TrailProblem[] = [];
  for (const problem of problems) {
    const last = merged.at(-1);
    const isSame =
      last !== undefined &&
      last.kind === problem.kind &&
      last.file === problem.file &&
      last.says === problem.says &&
      last.seq !== undefined &&
      problem.seq === (last.to ?? last.seq) + 1;
    if (isSame) merged[merged.length - 1] = { ...last, to: problem.to ?? problem.seq };
    else merged.push(problem);
  }
  return merged;
}
