import { processEnvironment } from '../config/environment.ts';
import { composeWorker } from '../gateway.ts';
import { serveAsWorker } from '../server/worker-service.ts';
import { UsageError } from './usage-error.ts';

/**
 * `zasov worker`: one of the processes that serve when the policies ask for several. Started by the gateway only,
 * with a channel over which it learns everything; not for people.
 *
 * @returns never by itself: the process ends when its last request is through. @throws UsageError without a channel.
 */
export async function runWorker(): Promise<number> {
  if (process.send === undefined)
    throw new UsageError(
      '"worker" is started by the gateway itself, when the policies say workers: 2 or more',
    );
  // A terminal and some service managers signal every process of the group. When to end is the supervisor's to say.
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => undefined);
  const environment = processEnvironment();
  await serveAsWorker(process, (start, link) => composeWorker(start, link, environment));
  // The channel would keep the process alive.
  process.exit(0);
}
