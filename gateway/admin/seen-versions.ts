import { dirname } from 'node:path';

import { ensurePrivateDirectory, readIfPresent, replaceFile } from '../config/private-file.ts';

/**
 * The highest version of each record that was ever seen here, in a file beside the store: a record that is gone or
 * older was put back by somebody. Several processes share the file; each adds what it knows.
 */
export class SeenVersions {
  readonly #file: string;
  readonly #seen = new Map<string, number>();
  #reading: Promise<void> | undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor(file: string) {
    this.#file = file;
  }

  /** The lowest version that is believed. */
  async least(name: string): Promise<number> {
    this.#reading ??= this.#read();
    await this.#reading;
    return this.#seen.get(name) ?? 0;
  }

  /** Remembers a version; resolves when it is in the file. */
  async note(name: string, version: number): Promise<void> {
    if (version <= (await this.least(name))) return;
    this.#seen.set(name, version);
    const write = this.#writing.then(() => this.#write());
    this.#writing = write.catch(() => undefined);
    await write;
  }

  async #write(): Promise<void> {
    await ensurePrivateDirectory(dirname(this.#file));
    // Another process may know of later ones.
    await this.#read();
    await replaceFile(this.#file, `${JSON.stringify(Object.fromEntries(this.#seen))}\n`, 0o600);
  }

  async #read(): Promise<void> {
    const kept = JSON.parse((await readIfPresent(this.#file)) ?? '{}') as Record<string, number>;
    for (const [name, version] of Object.entries(kept))
      this.#seen.set(name, Math.max(version, this.#seen.get(name) ?? 0));
  }
}
