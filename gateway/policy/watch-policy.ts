import { type FSWatcher, readdirSync, statSync, watch } from 'node:fs';
import { dirname, join } from 'node:path';

import { isPolicyName } from './policy-files.ts';

/** How quickly a change is seen. */
export interface WatchTimes {
  /** How long nothing more must change, in milliseconds: editors and tools write several files in a row. */
  readonly settleMs?: number;
  /** How often the files are looked at without any event: network file systems and swapped links send none. */
  readonly pollMs?: number;
}

/**
 * Watches a policy file or directory and calls back when a policy has changed, been added or been removed; not when
 * a file was only touched with nothing new, nor for other files. Survives editors that replace files and tools that
 * swap whole directories. Its timers do not keep the process alive.
 *
 * @param changed must not throw.
 * @returns a function that stops watching.
 */
export function watchPolicy(path: string, changed: () => void, times: WatchTimes = {}): () => void {
  const watching = new PolicyWatch(path, changed, times);
  return () => watching.close();
}

class PolicyWatch {
  readonly #path: string;
  readonly #changed: () => void;
  readonly #settleMs: number;
  readonly #poll: NodeJS.Timeout;
  #settle: NodeJS.Timeout | undefined;
  #watcher: FSWatcher | undefined;
  #watched = '';
  #seen: string;

  constructor(path: string, changed: () => void, { settleMs = 200, pollMs = 5000 }: WatchTimes) {
    this.#path = path;
    this.#changed = changed;
    this.#settleMs = settleMs;
    this.#arm();
    this.#seen = fingerprint(path);
    this.#poll = setInterval(() => this.#look(), pollMs).unref();
  }

  close(): void {
    clearInterval(this.#poll);
    clearTimeout(this.#settle);
    this.#watcher?.close();
  }

  /** Watches the directory, never the file: a replaced file takes its watch along. */
  #arm(): void {
    const directory = isDirectory(this.#path) ? this.#path : dirname(this.#path);
    const identity = `${directory} ${identityOf(directory)}`;
    if (this.#watcher !== undefined && identity === this.#watched) return;
    this.#watcher?.close();
    this.#watcher = undefined;
    try {
      this.#watcher = watch(directory, { persistent: false }, () => this.#soon());
      this.#watcher.on('error', () => this.#disarm());
      this.#watched = identity;
    } catch {
      // The directory is gone or the system has no watches left; polling goes on.
    }
  }

  #disarm(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
  }

  #soon(): void {
    clearTimeout(this.#settle);
    this.#settle = setTimeout(() => this.#look(), this.#settleMs).unref();
  }

  #look(): void {
    this.#arm();
    const now = fingerprint(this.#path);
    if (now === this.#seen) return;
    this.#seen = now;
    this.#changed();
  }
}

/** Which policies there are and when each was written; no content is read. */
function fingerprint(path: string): string {
  try {
    if (!isDirectory(path)) return identityOf(path);
    const names = readdirSync(path).filter(isPolicyName).toSorted();
    return names.map((name) => `${name} ${identityOf(join(path, name))}`).join('\n');
  } catch {
    return 'gone';
  }
}

function identityOf(file: string): string {
  const facts = statSync(file, { bigint: true, throwIfNoEntry: false });
  if (facts === undefined) return 'gone';
  if (facts.isDirectory()) return `folder ${facts.dev} ${facts.ino}`;
  return `${facts.dev} ${facts.ino} ${facts.size} ${facts.mtimeNs}`;
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
