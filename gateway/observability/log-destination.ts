import { write, writeSync } from 'node:fs';

/** Where log lines go. */
export interface LogDestination {
  /** Takes one line with its line feed; does not wait. */
  write(line: string): void;
}

/** A destination that gathers lines and writes them behind the caller's back. */
export interface BufferedDestination extends LogDestination {
  /** Writes what is gathered, waiting for it; for the end of the process. Gives up on a reader that has hung. */
  flush(): void;
  /** Lines that were lost because nobody took them. */
  readonly dropped: number;
}

const STANDARD_ERROR = 2;
const BLOCK_BYTES = 64 * 1024;
/** What a pipe takes in one piece, whoever else writes to it (POSIX; 4096 on Linux). */
const PIPE_BUF = 4096;
const LINE_FEED = 10;
const FLUSH_EVERY_MS = 100;
/** What may wait for a slow reader; beyond it lines are dropped, since a log must not take the gateway down. */
const MOST_BLOCKS = 128;
const TRY_AGAIN_MS = 100;
const THREAD_MS = 20;
/** A reader that took nothing for so long at the end of the process will not. */
const LAST_TRIES = 10;

/**
 * The process's log destination: gathers lines for 100 ms or 64 KiB and writes them with one system call, and is
 * flushed when the process exits by itself. A reader that is gone or slow costs lines, never the gateway.
 *
 * @param fileDescriptor standard error unless told; standard output belongs to the ready line.
 * @param isShared whether other processes write to the same place: then lines go out in pieces that a pipe never
 *   mixes with theirs, at the cost of more system calls.
 */
export function bufferedDestination(fileDescriptor = STANDARD_ERROR, isShared = false): BufferedDestination {
  const blocks = new LineBlocks(fileDescriptor, isShared ? PIPE_BUF : BLOCK_BYTES);
  process.once('exit', () => blocks.flush());
  return blocks;
}

/**
 * Lines are encoded straight into fixed blocks: keeping them as strings until a write cost several times as much in
 * copies and garbage.
 */
class LineBlocks implements BufferedDestination {
  dropped = 0;
  readonly #fileDescriptor: number;
  readonly #pieceBytes: number;
  #block: Buffer = Buffer.allocUnsafeSlow(BLOCK_BYTES);
  #used = 0;
  /** Full blocks that wait, oldest first. The first is the one being written. */
  readonly #waiting: Buffer[] = [];
  #spare: Buffer | undefined;
  #isWriting = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(fileDescriptor: number, pieceBytes: number) {
    this.#fileDescriptor = fileDescriptor;
    this.#pieceBytes = pieceBytes;
  }

  write(line: string): void {
    // Three bytes is the most that one UTF-16 unit takes in UTF-8.
    if (line.length * 3 > BLOCK_BYTES - this.#used && !this.#makeRoom(line)) {
      this.dropped += 1;
      return;
    }
    this.#used += this.#block.write(line, this.#used);
    if (this.#timer === undefined) this.#timer = setTimeout(() => this.#tick(), FLUSH_EVERY_MS).unref();
  }

  flush(): void {
    this.#queue();
    if (this.#isWriting) {
      // The block under way belongs to another thread, which needs a moment; writing it here too would double it.
      pause(THREAD_MS);
      const [block] = this.#waiting;
      if (block !== undefined) this.#advance(block, this.#piece(block).byteLength);
    }
    let tries = LAST_TRIES;
    while (this.#waiting.length > 0 && tries > 0) {
      const [block = Buffer.alloc(0)] = this.#waiting;
      try {
        const written = writeSync(this.#fileDescriptor, this.#piece(block));
        this.#advance(block, written);
        tries = LAST_TRIES;
      } catch (error) {
        tries = isBusy(error) ? tries - 1 : 0;
        if (tries > 0) pause(TRY_AGAIN_MS);
      }
    }
  }

  #makeRoom(line: string): boolean {
    if (line.length * 3 > BLOCK_BYTES || this.#waiting.length >= MOST_BLOCKS) return false;
    this.#queue();
    this.#writeNext();
    return true;
  }

  #tick(): void {
    this.#timer = undefined;
    this.#queue();
    this.#writeNext();
  }

  /** Closes the block that is being filled. */
  #queue(): void {
    if (this.#used === 0) return;
    this.#waiting.push(this.#block.subarray(0, this.#used));
    this.#block = this.#spare ?? Buffer.allocUnsafeSlow(BLOCK_BYTES);
    this.#spare = undefined;
    this.#used = 0;
  }

  #writeNext(): void {
    const [block] = this.#waiting;
    if (block === undefined || this.#isWriting) return;
    this.#isWriting = true;
    write(this.#fileDescriptor, this.#piece(block), (error, written) => {
      this.#isWriting = false;
      if (error === null) {
        this.#advance(block, written);
        this.#writeNext();
      } else if (isBusy(error)) {
        setTimeout(() => this.#writeNext(), TRY_AGAIN_MS).unref();
      } else {
        // There is nowhere left to report that the log cannot be written.
        this.#waiting.length = 0;
        this.dropped += 1;
      }
    });
  }

  /** As many whole lines as may be written at once; a line that is longer than that goes alone. */
  #piece(block: Buffer): Buffer {
    if (block.byteLength <= this.#pieceBytes) return block;
    const fits = block.lastIndexOf(LINE_FEED, this.#pieceBytes - 1);
    return block.subarray(0, (fits < 0 ? block.indexOf(LINE_FEED, this.#pieceBytes) : fits) + 1);
  }

  /** Drops what was written; a block that is done is filled again instead of a new one. */
  #advance(block: Buffer, written: number): void {
    if (this.#waiting[0] !== block) return;
    if (written < block.byteLength) {
      this.#waiting[0] = block.subarray(written);
      return;
    }
    this.#waiting.shift();
    if (block.byteOffset === 0 && block.buffer.byteLength === BLOCK_BYTES)
      this.#spare = Buffer.from(block.buffer);
  }
}

/** Waits without the event loop, which no longer turns when a process exits. */
function pause(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EAGAIN';
}
