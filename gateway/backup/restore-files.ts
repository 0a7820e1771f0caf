import { mkdir, open } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { GatewayError } from '../core/gateway-error.ts';
import { isSafePath, shownPath } from './archive-path.ts';

/**
 * Writes a file of an archive below a directory: mode 0600, directories 0700, forced to the disk.
 *
 * @param path as the archive has it, without the part that says what kind of file it is.
 * @throws GatewayError `backup_invalid` for a path that leads elsewhere; the system's error, a full disk say.
 */
export async function writeRestored(
  directory: string,
  path: string,
  body: AsyncIterable<Uint8Array>,
): Promise<void> {
  const file = join(directory, safePath(path));
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  await using handle = await open(file, 'wx', 0o600);
  for await (const chunk of body)
    for (let done = 0; done < chunk.length;)
      done += (await handle.write(chunk, done, chunk.length - done)).bytesWritten;
  await handle.sync();
}

/** Refuses a path that leads out of where it belongs. @throws GatewayError `backup_invalid`. */
export function safePath(path: string): string {
  if (!isSafePath(path))
    throw new GatewayError('backup_invalid', `the archive names a file ${shownPath(path)}: refused`);
  return path;
}
