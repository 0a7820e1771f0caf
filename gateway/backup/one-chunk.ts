/** A stream of one chunk. */
export async function* oneChunk(content: Uint8Array | string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(content);
}
