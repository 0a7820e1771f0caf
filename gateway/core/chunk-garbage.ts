import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Bytes between two collections: less memory against about a millisecond of work each. */
const STEP_BYTES = 8 * 1024 * 1024;

/**
 * Frees the buffers of a stream soon after they passed. Every chunk is a young object of a few bytes that holds up to
 * 64 KiB outside of the heap, and the collector lets some 60 MB of them wait: memory that the system's allocator
 * never gives back. One minor collection every 8 MiB keeps a process that carries large files flat.
 */
class ChunkGarbage {
  #countedBytes = 0;
  #collect: ((options: { type: 'minor' }) => void) | undefined;

  /** Counts a chunk that passes in either direction; now and then collects, after the chunk has left. */
  count(bytes: number): void {
    this.#countedBytes += bytes;
    if (this.#countedBytes < STEP_BYTES) return;
    this.#countedBytes = 0;
    this.#collect ??= exposeCollector();
    setImmediate(() => this.#collect?.({ type: 'minor' }));
  }
}

function exposeCollector(): (options: { type: 'minor' }) => void {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as (options: { type: 'minor' }) => void;
}

/** One count for the process, because its heap is one. */
export const chunkGarbage = new ChunkGarbage();
