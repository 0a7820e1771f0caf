import { createHash, randomBytes } from 'node:crypto';
import { createReadStream, type Stats } from 'node:fs';
import { type FileHandle, link, lstat, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

import type { Clock } from '../core/clock.ts';
import {
  type BackupTarget,
  type PutOptions,
  type Removal,
  type StoredObject,
  TARGET_FOLDERS,
  type WrittenObject,
  alreadyThere,
  checkTargetName,
  checkTargetPrefix,
  isTargetName,
  notThere,
  readsBackWrong,
} from './backup-target.ts';
import { directoryFailure, isCode } from './directory-failure.ts';
import { noteFailure } from './note-failure.ts';

/** What a directory needs to be a target. */
export interface DirectoryTargetOptions {
  readonly clock: Clock;
  /** The gateway's own data, which should not be on the same file system; left out, nobody is warned. */
  readonly dataDirectory?: string;
}

/** `.NAME.PROCESS-RANDOM.partial`: who writes it stands in its name. */
const PARTIAL = /^\..+\.(\d+)-[0-9a-f]{8}\.partial$/;
/** The number of a process may belong to somebody else by now: so much older, and nobody writes any more. */
const SURELY_DEAD = 7;

/**
 * A directory as a target: an external disk, a network share. It has to be there: one that is missing is a disk that
 * is not mounted, and is never made. Names appear by `link`, which does not replace; where a file system has no hard
 * links (exFAT), by a look and a `rename`.
 *
 * Reading back asks the kernel, which may answer from memory: it proves what was handed over and forced to the disk,
 * and what the disk itself makes of it shows in a verification of later.
 */
export function openDirectoryTarget(directory: string, options: DirectoryTargetOptions): BackupTarget {
  const { clock, dataDirectory } = options;
  const attempt = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      throw directoryFailure(directory, what, error);
    }
  };
  return {
    where: directory,
    warnings: () => attempt('look at it', () => warningsOf(directory, dataDirectory)),
    async put(name, body, putOptions = {}) {
      checkTargetName(name);
      // The source of a copy has failures of its own, which say nothing about this directory.
      const source: { failure?: unknown } = {};
      const noted = noteFailure(body, source);
      try {
        return await writeNew({ directory, name, body: noted, options: putOptions });
      } catch (error) {
        throw error === source.failure ? error : directoryFailure(directory, `write ${name}`, error);
      }
    },
    async *read(name, { signal } = {}) {
      checkTargetName(name);
      try {
        yield* createReadStream(join(directory, name), signal === undefined ? {} : { signal });
      } catch (error) {
        throw isCode(error, 'ENOENT') && (await isThere(directory))
          ? notThere(name, directory)
          : directoryFailure(directory, `read ${name}`, error);
      }
    },
    list(prefix) {
      checkTargetPrefix(prefix);
      return attempt('list it', () => listNames(directory, prefix));
    },
    remove(name) {
      checkTargetName(name);
      return attempt(`remove ${name}`, async (): Promise<Removal> => {
        await stat(directory);
        await rm(join(directory, name), { force: true });
        return 'removed';
      });
    },
    sweep: (olderThanMs) => attempt('tidy it up', () => sweepPartials(directory, clock.now(), olderThanMs)),
  };
}

async function warningsOf(directory: string, dataDirectory: string | undefined): Promise<string[]> {
  const { dev } = await stat(directory);
  if (dataDirectory === undefined || dev !== (await stat(dataDirectory)).dev) return [];
  return [
    `the backups in ${directory} are on the same file system as the data in ${dataDirectory} and are lost with it: name a directory of another disk, or mount the one that belongs there`,
  ];
}

interface Writing {
  readonly directory: string;
  readonly name: string;
  readonly body: AsyncIterable<Uint8Array>;
  readonly options: PutOptions;
}

async function writeNew({ directory, name, body, options }: Writing): Promise<WrittenObject> {
  const file = join(directory, name);
  const folder = dirname(file);
  await stat(directory);
  if (folder !== directory) await makeFolder(directory, folder);
  if (await isThere(file)) throw alreadyThere(name, directory);
  const random = randomBytes(4).toString('hex');
  const partial = join(folder, `.${basename(name)}.${process.pid}-${random}.partial`);
  const handle = await open(partial, 'wx', 0o600);
  try {
    const written = await writeAll(handle, body, options);
    await handle.close();
    if ((await hashOf(partial, options.signal)) !== written.sha256) throw readsBackWrong(name, directory);
    options.signal?.throwIfAborted();
    await giveName(partial, file).catch((error: unknown) => {
      throw isCode(error, 'EEXIST') ? alreadyThere(name, directory) : error;
    });
    await syncDirectory(folder);
    return written;
  } catch (error) {
    // The first failure is the one to tell; a target that is gone cannot be tidied up either.
    await handle.close().catch(() => undefined);
    await rm(partial, { force: true }).catch(() => undefined);
    throw error;
  }
}

async function makeFolder(directory: string, folder: string): Promise<void> {
  try {
    await mkdir(folder, { mode: 0o700 });
  } catch (error) {
    if (isCode(error, 'EEXIST')) return;
    throw error;
  }
  await syncDirectory(directory);
}

async function writeAll(
  handle: FileHandle,
  body: AsyncIterable<Uint8Array>,
  { signal, onBytes }: PutOptions,
): Promise<WrittenObject> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of body) {
    signal?.throwIfAborted();
    hash.update(chunk);
    // A write may take less than it was given, when the disk fills up in the middle.
    for (let done = 0; done < chunk.length;) {
      const { bytesWritten } = await handle.write(chunk, done, chunk.length - done);
      done += bytesWritten;
    }
    bytes += chunk.length;
    onBytes?.(bytes);
  }
  await handle.sync();
  return { bytes, sha256: hash.digest('hex') };
}

const READ_BYTES = 1024 * 1024;

async function hashOf(file: string, signal: AbortSignal | undefined): Promise<string> {
  const hash = createHash('sha256');
  await using handle = await open(file, 'r');
  // One for all of the file: a stream makes a new one for each chunk, faster than they are collected.
  const buffer = Buffer.allocUnsafeSlow(READ_BYTES);
  for (;;) {
    signal?.throwIfAborted();
    const { bytesRead } = await handle.read(buffer, 0, READ_BYTES, null);
    if (bytesRead === 0) return hash.digest('hex');
    hash.update(buffer.subarray(0, bytesRead));
  }
}

const NO_LINKS = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'];

async function giveName(partial: string, file: string): Promise<void> {
  try {
    await link(partial, file);
  } catch (error) {
    if (!NO_LINKS.some((code) => isCode(error, code))) throw error;
    // Names hold a random part, so that nobody else is about to take this one.
    if (await isThere(file)) throw Object.assign(new Error('exists'), { code: 'EEXIST' });
    await rename(partial, file);
    return;
  }
  await rm(partial);
}

async function syncDirectory(directory: string): Promise<void> {
  await using handle = await open(directory, 'r');
  await handle.sync();
}

async function isThere(path: string): Promise<boolean> {
  return (await statIfThere(path)) !== undefined;
}

async function statIfThere(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path);
  } catch (error) {
    if (isCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

async function listNames(directory: string, prefix: string): Promise<StoredObject[]> {
  const slash = prefix.indexOf('/');
  const folder = slash === -1 ? '' : prefix.slice(0, slash + 1);
  await stat(directory);
  const entries = await readIfThere(join(directory, folder));
  const names = entries
    .map((entry) => `${folder}${entry}`)
    .filter((name) => name.startsWith(prefix) && isTargetName(name));
  const found: StoredObject[] = [];
  for (const name of names.toSorted(compareNames)) {
    const stats = await statIfThere(join(directory, name));
    if (stats?.isFile() === true) found.push({ name, bytes: stats.size, modifiedMs: stats.mtimeMs });
  }
  return found;
}

function compareNames(one: string, other: string): number {
  return one < other ? -1 : 1;
}

async function readIfThere(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (isCode(error, 'ENOENT')) return [];
    throw error;
  }
}

async function sweepPartials(directory: string, nowMs: number, olderThanMs: number): Promise<void> {
  await stat(directory);
  for (const folder of ['', ...TARGET_FOLDERS]) {
    for (const name of await readIfThere(join(directory, folder))) {
      const writer = Number(PARTIAL.exec(name)?.[1] ?? 0);
      if (writer === 0) continue;
      const path = join(directory, folder, name);
      const ageMs = nowMs - ((await statIfThere(path))?.mtimeMs ?? nowMs);
      const isDead = !isAlive(writer) || ageMs > SURELY_DEAD * olderThanMs;
      if (ageMs > olderThanMs && isDead) await rm(path, { force: true });
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return isCode(error, 'EPERM');
  }
}
