import { runProgram } from './cli/program.ts';

/**
 * The program `zasov`: runs one command and sets the exit code (0 done, 1 refused or failed, 2 bad usage). Long-running
 * commands resolve when they were asked to stop.
 */
export async function main(argv: readonly string[]): Promise<void> {
  // A reader of our output that is gone (`| head -1`, a supervisor that restarts) must not end a gateway that serves.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
  process.exitCode = await runProgram(argv);
}
