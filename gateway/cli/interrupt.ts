/** What a shell says of a command that a signal ended. */
const CODES = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 };
const NAMES = ['SIGHUP', 'SIGINT', 'SIGTERM'] as const;

/**
 * Does work that Ctrl-C, or another signal to end, may end early. Whoever will not wait until it has cleaned up sends a
 * second one.
 *
 * @param says what that leaves behind, for the operator.
 * @param work told of it by its signal; what it finishes in spite of it counts.
 * @returns the exit code of the work, or 128 and the number of the signal. @throws what the work does.
 */
export async function untilInterrupted(
  says: string,
  work: (signal: AbortSignal) => Promise<number>,
): Promise<number> {
  const stop = new AbortController();
  let code: number | undefined;
  const heed = (name: NodeJS.Signals) => {
    if (code !== undefined) process.exit(code);
    code = CODES[name as (typeof NAMES)[number]];
    stop.abort(new Error('interrupted'));
  };
  for (const name of NAMES) process.on(name, heed);
  try {
    return await work(stop.signal);
  } catch (error) {
    if (code === undefined) throw error;
    process.stderr.write(`zasov: interrupted: ${says}\n`);
    return code;
  } finally {
    for (const name of NAMES) process.off(name, heed);
  }
}
