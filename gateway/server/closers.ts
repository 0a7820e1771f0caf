/** What has to be closed at the end, in the order in which it was opened. */
export type Closers = (() => Promise<void> | void)[];

/** Closes in the opposite order of opening; one that fails does not keep the others open. */
export async function closeAll(closers: Closers): Promise<void> {
  for (const close of closers.splice(0).toReversed()) {
    try {
      await close();
    } catch {
      // The process is about to end; what cannot be closed ends with it.
    }
  }
}

/** Repeats work without keeping the process alive. @returns a function that stops it. */
export function every(milliseconds: number, work: () => unknown): () => void {
  const timer = setInterval(work, milliseconds).unref();
  return () => clearInterval(timer);
}
