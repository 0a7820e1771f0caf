import { checkInScratch } from '../backup/scratch-check.ts';
import { UsageError } from './usage-error.ts';

/**
 * `zasov backup-check DIRECTORY`: the process that restores an archive for a test while it is written. Started by the
 * process that writes it, which feeds the tar to its standard input; not for people.
 *
 * @returns 0 when all of it came back. @throws UsageError without a directory, GatewayError when something did not.
 */
export async function runBackupCheck(argv: readonly string[]): Promise<number> {
  const [directory] = argv;
  if (directory === undefined || argv.length > 1)
    throw new UsageError('"backup-check" is started by the gateway itself; see zasov backup now');
  // A terminal signals every process of the group. When to end is the writer's to say.
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => undefined);
  try {
    await checkInScratch(process.stdin as AsyncIterable<Uint8Array>, directory);
    return 0;
  } finally {
    // What is still to come would keep a process alive that has found a mistake.
    process.stdin.destroy();
  }
}
