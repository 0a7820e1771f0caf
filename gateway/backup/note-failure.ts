/** Passes a stream on, and notes what it failed with: what reads it may fail with something else, or say nothing. */
export async function* noteFailure(
  source: AsyncIterable<Uint8Array>,
  noted: { failure?: unknown },
): AsyncGenerator<Uint8Array> {
  try {
    yield* source;
  } catch (error) {
    noted.failure ??= error;
    throw error;
  }
}
