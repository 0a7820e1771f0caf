import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import {
  access,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  statfs,
  writeFile,
} from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname, join, resolve } from 'node:path';

import { GatewayError } from '../core/gateway-error.ts';

/** Lies in a data directory while a restore puts its parts in their places: nothing is served from it. */
export const UNFINISHED_FILE = 'restore.unfinished';

/** With less than this a database cannot write its next page. */
const ROOM_BYTES = 64 * 1024;
const STAGING = '.restore';
const OWNER_FILE = 'restore.pid';
/** What any gateway leaves in its data directory. */
const SIGNS = ['master.check', 'records.db', 'keys.db', 'sessions.db', 'admin', 'audit-heads'];
/** What may lie at the root of a volume, and what earlier restores left. */
const FOREIGN = /^(?:lost\+found|\.restore|before-restore-.*)$/;

/** Where a restore goes, and what is there. */
export interface RestorePlace {
  /** The data directory. */
  readonly data: string;
  /** Where everything is made ready; on the same file system, so that one rename publishes it. */
  readonly staging: string;
  /** Whether a gateway has lived there. */
  readonly isGateway: boolean;
  /** Whether anything is there. */
  readonly isEmpty: boolean;
  /** Whether a restore was interrupted there. */
  readonly isUnfinished: boolean;
  /** Whether the directory itself cannot be renamed: it is a volume, or its parent is not writable. */
  readonly isFixed: boolean;
}

/**
 * Looks at the place of a restore. Changes nothing.
 *
 * @throws GatewayError `restore_refused` when a gateway runs there, or another restore.
 */
export async function findRestorePlace(directory: string): Promise<RestorePlace> {
  const data = resolve(directory);
  if (await answers(join(data, 'control.sock')))
    throw new GatewayError(
      'restore_refused',
      `a gateway runs on ${data}: stop it first, then run this again`,
    );
  const isFixed = await isFixedDirectory(data);
  const names = (await namesOf(data)).filter((name) => !isFixed || !FOREIGN.test(name));
  const staging = isFixed ? join(data, STAGING) : `${data}${STAGING}`;
  const owner = Number((await readFile(join(staging, OWNER_FILE), 'utf8').catch(() => '')) || 0);
  if (owner > 0 && owner !== process.pid && isAlive(owner))
    throw new GatewayError('restore_refused', `another restore (process ${owner}) is at work on ${data}`);
  const isUnfinished = names.includes(UNFINISHED_FILE);
  const isGateway = !isUnfinished && SIGNS.some((sign) => names.includes(sign));
  return { data, staging, isGateway, isEmpty: names.length === 0, isUnfinished, isFixed };
}

/** Makes the empty directory in which everything is made ready; what a killed restore left there is removed. */
export async function openStaging({ staging }: RestorePlace): Promise<void> {
  await rm(staging, { recursive: true, force: true });
  await mkdir(staging, { recursive: true, mode: 0o700 });
  await writeFile(join(staging, OWNER_FILE), String(process.pid), { mode: 0o600 });
}

/**
 * Says of a failure that the disk is full when it is: a database on it only says that something went wrong.
 *
 * @returns the same failure otherwise.
 */
export async function explainFull({ data, staging }: RestorePlace, error: unknown): Promise<unknown> {
  const { bavail, bsize } = await statfs(staging).catch(() => ({ bavail: 1, bsize: ROOM_BYTES }));
  const isFull = error instanceof Error && 'code' in error && error.code === 'ENOSPC';
  if (!isFull && bavail * bsize >= ROOM_BYTES) return error;
  const says = error instanceof Error ? error.message : String(error);
  return new GatewayError(
    'restore_refused',
    `the disk that ${data} is on is full; nothing was restored: make room on it and run this again (${says})`,
    { cause: error },
  );
}

/** Removes what was made ready. */
export async function removeStaging({ staging }: RestorePlace): Promise<void> {
  await rm(staging, { recursive: true, force: true });
}

/**
 * Puts what was made ready in its place; what was there is kept.
 *
 * A directory is renamed as a whole: after a kill it is the old one, or the new one, or for a moment none. In a volume,
 * which cannot be renamed, a mark goes first and is removed last; a gateway refuses to start while it is there, and the
 * next restore begins anew.
 *
 * @param atMs for the name of what is kept. @param isMarked whether the mark stays until {@link settle}.
 * @returns where what was there is kept.
 */
export async function publish(
  place: RestorePlace,
  atMs: number,
  isMarked: boolean,
): Promise<string | undefined> {
  const { data, staging, isFixed, isEmpty, isUnfinished } = place;
  await rm(join(staging, OWNER_FILE), { force: true });
  if (isMarked || isFixed) await mark(isFixed ? data : staging);
  await syncDirectory(staging);
  const stamp = new Date(atMs).toISOString().replaceAll(/[-:]|\.\d+/g, '');
  const kept = isEmpty || isUnfinished ? undefined : await freeName(keptName(place, stamp));
  if (isFixed) await moveInside(place, kept);
  else {
    if (kept !== undefined) await rename(data, kept);
    else await rm(data, { recursive: true, force: true });
    await rename(staging, data);
    await syncDirectory(dirname(data));
  }
  if (!isMarked) await settle(data);
  return kept;
}

/** Takes the mark away: all of it is done. */
export async function settle(data: string): Promise<void> {
  await rm(join(data, UNFINISHED_FILE), { force: true });
  await syncDirectory(data);
}

/** Forces a directory's names to the disk. */
export async function syncDirectory(directory: string): Promise<void> {
  await using handle = await open(directory, 'r');
  await handle.sync();
}

async function mark(directory: string): Promise<void> {
  const file = join(directory, UNFINISHED_FILE);
  await writeFile(file, 'a restore is putting its parts in their places\n', { mode: 0o600, flush: true });
  await syncDirectory(directory);
}

function keptName({ data, isFixed }: RestorePlace, stamp: string): string {
  return isFixed ? join(data, `before-restore-${stamp}`) : `${data}.before-restore-${stamp}`;
}

async function freeName(name: string): Promise<string> {
  const isTaken = await stat(name).then(
    () => true,
    () => false,
  );
  return isTaken ? `${name}-${randomBytes(2).toString('hex')}` : name;
}

async function moveInside({ data, staging }: RestorePlace, kept: string | undefined): Promise<void> {
  if (kept !== undefined) await mkdir(kept, { mode: 0o700 });
  for (const name of await namesOf(data)) {
    if (FOREIGN.test(name) || name === UNFINISHED_FILE) continue;
    if (kept === undefined) await rm(join(data, name), { recursive: true, force: true });
    else await rename(join(data, name), join(kept, name));
  }
  for (const name of await namesOf(staging)) await rename(join(staging, name), join(data, name));
  await syncDirectory(data);
  await rm(staging, { recursive: true, force: true });
}

async function isFixedDirectory(data: string): Promise<boolean> {
  const parent = dirname(data);
  await mkdir(parent, { recursive: true });
  const there = await stat(data).catch(() => undefined);
  if (there !== undefined && there.dev !== (await stat(parent)).dev) return true;
  if (there === undefined) return false;
  return await access(parent, constants.W_OK).then(
    () => false,
    () => true,
  );
}

async function namesOf(directory: string): Promise<string[]> {
  return await readdir(directory).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw error;
  });
}

function answers(socket: string): Promise<boolean> {
  return new Promise((done) => {
    const connection = connect(socket);
    connection.once('connect', () => {
      connection.destroy();
      done(true);
    });
    connection.once('error', () => done(false));
  });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
