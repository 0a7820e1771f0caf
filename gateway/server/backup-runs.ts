import { randomBytes } from 'node:crypto';

import type { BackupProgress } from '../backup/backup-progress.ts';

/** Work that was begun over the control socket, as whoever asked for it sees it. */
export interface RunView {
  readonly run: string;
  readonly state: 'running' | 'done' | 'failed';
  readonly phase: string;
  readonly bytes: number;
  readonly total_bytes: number | null;
  /** Once it is done. */
  readonly result?: unknown;
  /** Once it has failed: what, where and what to do. */
  readonly error?: string | undefined;
}

interface Run {
  progress(): BackupProgress;
  state: RunView['state'];
  result?: unknown;
  error?: string;
}

/** So many ended runs are still known. */
const REMEMBERED = 32;

/** Remembers work that takes longer than a call, so that whoever began it can ask for it. */
export class BackupRuns {
  readonly #runs = new Map<string, Run>();

  /** Takes work under way up. @returns the name to ask for it by. */
  add(ended: Promise<unknown>, progress: () => BackupProgress): string {
    const id = randomBytes(9).toString('base64url');
    const run: Run = { state: 'running', progress };
    this.#runs.set(id, run);
    ended.then(
      (result) => Object.assign(run, { state: 'done', result }),
      (error: unknown) => {
        const says = error instanceof Error ? error.message : String(error);
        Object.assign(run, { state: 'failed', error: says });
      },
    );
    for (const [old, { state }] of this.#runs)
      if (this.#runs.size > REMEMBERED && state !== 'running') this.#runs.delete(old);
    return id;
  }

  /** @returns `undefined` for a name that is not known, or no more. */
  view(id: string): RunView | undefined {
    const run = this.#runs.get(id);
    if (run === undefined) return undefined;
    const { phase, bytes, totalBytes } = run.progress();
    const { state, result, error } = run;
    return { run: id, state, phase, bytes, total_bytes: totalBytes ?? null, result, error };
  }
}
