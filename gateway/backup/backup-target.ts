import { GatewayError } from '../core/gateway-error.ts';

/** What was put over a name after it was written: every name is written once, so that it was nobody of ours. */
export interface LaterVersions {
  /** How often other bytes were. */
  readonly written: number;
  /** How often it was deleted. */
  readonly deleted: number;
}

/** What is at a target under a name. */
export interface StoredObject {
  readonly name: string;
  readonly bytes: number;
  readonly modifiedMs: number;
  /** What hides nothing, because the target keeps what was there first; absent where nothing came later. */
  readonly later?: LaterVersions;
}

/** What a target has taken, proved by reading it back. */
export interface WrittenObject {
  readonly bytes: number;
  /** SHA-256 in hex. */
  readonly sha256: string;
}

/** What goes along with writing. */
export interface PutOptions {
  /** Ends the writing; nothing stays behind. */
  readonly signal?: AbortSignal;
  /** Called with the bytes that the target has taken so far. */
  readonly onBytes?: (bytes: number) => void;
}

/** What goes along with reading. */
interface ReadOptions {
  readonly signal?: AbortSignal;
}

/** `locked`: the target keeps it until its lock has run out, and was right to refuse. */
export type Removal = 'removed' | 'locked';

/**
 * Where archives, the journal and the reports of drills are kept: away from this machine. Every failure is a
 * `GatewayError` of the code `backup_failed` that says what, where and what to do. Calls may run at the same time.
 */
export interface BackupTarget {
  /** For messages; holds no credentials. */
  readonly where: string;
  /** What an operator should change about the target: it is on the disk that it protects, its lock does nothing. */
  warnings(): Promise<string[]>;
  /**
   * Writes under a temporary name, forces it to the disk, reads it back and compares the hash, and then names it: a
   * name that is there holds everything that was given. Never replaces. What fails or is ended leaves nothing, as far
   * as the target still answers; `sweep` sees to the rest.
   *
   * @throws GatewayError `backup_failed`.
   */
  put(name: string, body: AsyncIterable<Uint8Array>, options?: PutOptions): Promise<WrittenObject>;
  /**
   * What is there under a name, from its first byte: where the target keeps versions, of what was there first. It is not
   * checked: the archive itself is.
   */
  read(name: string, options?: ReadOptions): AsyncIterable<Uint8Array>;
  /** What is there under names that begin so, sorted by name; what is unfinished never. */
  list(prefix: string): Promise<StoredObject[]>;
  /** Removes what is there under a name; nothing there is no failure. */
  remove(name: string): Promise<Removal>;
  /** Removes what runs that died have left unfinished, when it is older than this. */
  sweep(olderThanMs: number): Promise<void>;
}

/** Folders that names may stand in; anything else stands at the top. */
export const TARGET_FOLDERS = ['journal', 'drills'] as const;

const NAME = new RegExp(`^(?:(?:${TARGET_FOLDERS.join('|')})/)?[A-Za-z0-9][A-Za-z0-9._-]{0,199}$`);
const PREFIX = new RegExp(`^(?:(?:${TARGET_FOLDERS.join('|')})/)?(?:[A-Za-z0-9][A-Za-z0-9._-]{0,199})?$`);

/** Whether a text is a name at a target: it leads nowhere else, and is none of something unfinished. */
export function isTargetName(name: string): boolean {
  return NAME.test(name) && !name.endsWith('.partial');
}

/** @throws GatewayError `backup_failed` for what is no name at a target. */
export function checkTargetName(name: string): void {
  if (!isTargetName(name))
    throw new GatewayError('backup_failed', `${JSON.stringify(name)} is no name at a target`);
}

/** @throws GatewayError `backup_failed` for what no name at a target begins with. */
export function checkTargetPrefix(prefix: string): void {
  if (!PREFIX.test(prefix))
    throw new GatewayError('backup_failed', `no name at a target begins with ${JSON.stringify(prefix)}`);
}

const NO_ROOM = new Set(['ENOSPC', 'EDQUOT', 'QuotaExceeded', 'InsufficientStorage']);

/** Whether a target failed because there is no room left at it. */
export function lacksRoom(error: unknown): boolean {
  const cause = error instanceof GatewayError ? error.cause : undefined;
  return typeof cause === 'object' && cause !== null && 'code' in cause && NO_ROOM.has(String(cause.code));
}

/** The failure of a name that is taken. */
export function alreadyThere(name: string, where: string): GatewayError {
  return new GatewayError('backup_failed', `${name} exists already in ${where} and is never replaced`);
}

/** The failure of a name that is not there. */
export function notThere(name: string, where: string): GatewayError {
  return new GatewayError('backup_failed', `there is no ${name} in ${where}`);
}

/** The failure of a copy that reads back as something else. */
export function readsBackWrong(name: string, where: string, rest = ''): GatewayError {
  return new GatewayError(
    'backup_failed',
    `${name} reads back from ${where} as something else than was written: the storage or the way to it is at fault, and the copy was not kept${rest}`,
  );
}
