import { randomBytes } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, unlink } from 'node:fs/promises';
import { join } from 'node:path';

import type { SealedBox } from '../crypto/sealed-box.ts';

/** A file of the folder, opened. */
interface SealedFile {
  readonly name: string;
  /** What it holds; JSON has read it, and nobody has looked at its shape. */
  readonly value: unknown;
}

/** Small values on disk, one sealed file each, shared by the processes of one node. */
export interface SealedFolder {
  /**
   * Writes a value under a name, whole; it takes the place of one that is there.
   *
   * @returns resolves when it would outlive a loss of power. @throws the system's error.
   */
  write(name: string, value: unknown): Promise<void>;
  /** Takes a value away; it may be gone already. */
  remove(name: string): Promise<void>;
  /** Names of the values, by the directory alone. @throws the system's error. */
  names(): Promise<string[]>;
  /** @returns `undefined` when it is gone, was changed, or was sealed under another key. */
  read(name: string): Promise<SealedFile | undefined>;
}

/**
 * Opens a folder of sealed files; the directory is made when it is missing (mode 0700, files 0600).
 *
 * @param suffix of the files that are its own.
 * @param box seals each value under its name, so that no file can take another's place.
 */
export async function openSealedFolder(
  directory: string,
  suffix: string,
  box: SealedBox,
): Promise<SealedFolder> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const fileOf = (name: string) => join(directory, name + suffix);
  return {
    async write(name, value) {
      const path = fileOf(name);
      const draft = `${path}.${randomBytes(6).toString('hex')}.new`;
      const file = await open(draft, 'wx', 0o600);
      try {
        await file.writeFile(box.seal(Buffer.from(JSON.stringify(value)), name));
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(draft, path);
      await syncDirectory(directory);
    },
    async remove(name) {
      await unlink(fileOf(name)).catch(() => undefined);
    },
    async names() {
      const files = await readdir(directory);
      return files.filter((file) => file.endsWith(suffix)).map((file) => file.slice(0, -suffix.length));
    },
    async read(name) {
      const sealed = await readFile(fileOf(name)).catch(() => undefined);
      const plain = sealed === undefined ? undefined : box.open(sealed, name);
      return plain === undefined ? undefined : { name, value: JSON.parse(plain.toString()) as unknown };
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
