import { mkdir, open, readdir, readFile, rename, unlink } from 'node:fs/promises';
import { join } from 'node:path';

import type { Keyring } from '../crypto/keyring.ts';
import { createSealedBox } from '../crypto/sealed-box.ts';

/** Something that was begun and must be finished. */
export interface Intent {
  /** The id of the process that began it, `-`, and a random part; the name of its file. */
  readonly name: string;
  readonly account: string;
  readonly subject: string;
}

/** Intents on disk, one sealed file each, shared by the processes of one node. */
export interface IntentFolder {
  /** Resolves when the intent would outlive a loss of power. */
  write(intent: Intent): Promise<void>;
  /** Takes it away; it may be gone already. */
  remove(name: string): Promise<void>;
  /**
   * Intents whose process is gone.
   *
   * @param isOwn says whether this process works on an intent of its own.
   */
  orphans(isOwn: (name: string) => boolean): Promise<Intent[]>;
}

const SUFFIX = '.change';

/** Opens the folder, which is made when it is missing (mode 0700). */
export async function openIntentFolder(directory: string, keyring: Keyring): Promise<IntentFolder> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const box = createSealedBox(keyring, 'credential-change');
  const read = async (file: string): Promise<Intent[]> => {
    const name = file.slice(0, -SUFFIX.length);
    const sealed = await readFile(join(directory, file)).catch(() => undefined);
    const plain = sealed === undefined ? undefined : box.open(sealed, name);
    if (plain === undefined) return [];
    return [{ ...(JSON.parse(plain.toString()) as Omit<Intent, 'name'>), name }];
  };
  return {
    async write({ name, account, subject }) {
      const path = join(directory, name + SUFFIX);
      const file = await open(`${path}.new`, 'wx', 0o600);
      try {
        await file.writeFile(box.seal(Buffer.from(JSON.stringify({ account, subject })), name));
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(`${path}.new`, path);
      await syncDirectory(directory);
    },
    async remove(name) {
      await unlink(join(directory, name + SUFFIX)).catch(() => undefined);
    },
    async orphans(isOwn) {
      const files = (await readdir(directory)).filter((file) => file.endsWith(SUFFIX));
      const found: Intent[] = [];
      for (const file of files) {
        const name = file.slice(0, -SUFFIX.length);
        if (!isOwn(name) && !isRunning(Number.parseInt(name, 10))) found.push(...(await read(file)));
      }
      return found;
    },
  };
}

/** The name of a file is durable only when its directory is. */
async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** An intent under this very process's id that it does not work on is of an earlier process with the same id. */
function isRunning(pid: number): boolean {
  if (pid === process.pid || !Number.isSafeInteger(pid)) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
