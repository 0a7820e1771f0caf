import type { Keyring } from '../crypto/keyring.ts';
import { createSealedBox } from '../crypto/sealed-box.ts';
import { openSealedFolder } from '../store/sealed-folder.ts';

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

/** Opens the folder, which is made when it is missing (mode 0700). */
export async function openIntentFolder(directory: string, keyring: Keyring): Promise<IntentFolder> {
  const folder = await openSealedFolder(directory, '.change', createSealedBox(keyring, 'credential-change'));
  return {
    write: ({ name, account, subject }) => folder.write(name, { account, subject }),
    remove: (name) => folder.remove(name),
    async orphans(isOwn) {
      const found: Intent[] = [];
      for (const name of await folder.names()) {
        if (isOwn(name) || isRunning(Number.parseInt(name, 10))) continue;
        const file = await folder.read(name);
        if (file !== undefined) found.push({ ...(file.value as Omit<Intent, 'name'>), name });
      }
      return found;
    },
  };
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
