/** Reads a stream by numbers of bytes. */
export class ByteReader {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #rest: Uint8Array = new Uint8Array();

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#chunks = source[Symbol.asyncIterator]();
  }

  /** So many bytes as they arrive; fewer at the end. */
  async *take(bytes: number): AsyncGenerator<Uint8Array> {
    for (let left = bytes; left > 0;) {
      const chunk = await this.#next();
      if (chunk === undefined) return;
      const piece = chunk.subarray(0, left);
      this.#rest = chunk.subarray(piece.length);
      left -= piece.length;
      yield piece;
    }
  }

  /** So many bytes at once, which the caller has bounded; fewer at the end. */
  async read(bytes: number): Promise<Buffer> {
    const whole = Buffer.alloc(bytes);
    let taken = 0;
    for await (const piece of this.take(bytes)) {
      whole.set(piece, taken);
      taken += piece.length;
    }
    return whole.subarray(0, taken);
  }

  /** Whether nothing is left. */
  async isAtEnd(): Promise<boolean> {
    return (await this.#next()) === undefined;
  }

  /** Ends the source, so that a file or a process behind it does not stay open. */
  async close(): Promise<void> {
    await this.#chunks.return?.().catch(() => undefined);
  }

  async #next(): Promise<Uint8Array | undefined> {
    if (this.#rest.length > 0) return this.#rest;
    for (;;) {
      const step = await this.#chunks.next();
      if (step.done === true) return undefined;
      if (step.value.length > 0) return (this.#rest = step.value);
    }
  }
}
