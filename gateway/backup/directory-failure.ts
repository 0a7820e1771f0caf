import { GatewayError } from '../core/gateway-error.ts';

/** What the operating system says, in an operator's words. */
const MEANINGS: Readonly<Record<string, (directory: string) => string>> = {
  ENOSPC: (directory) => `the disk of ${directory} is full: make room there, or keep fewer archives`,
  EDQUOT: (directory) => `the quota for ${directory} is used up: raise it, or keep fewer archives`,
  EFBIG: (directory) =>
    `a file in ${directory} may not be so large: its file system or a limit of this process refuses it`,
  EROFS: (directory) => `${directory} is mounted read-only: look at the disk, then mount it for writing`,
  EACCES: (directory) => `this user may not write to or read ${directory}: give it the rights`,
  EPERM: (directory) => `this user may not do this in ${directory}: give it the rights`,
  ENOENT: (directory) =>
    `${directory} is not there: mount the disk that belongs there, or make the directory`,
  ENOTDIR: (directory) => `${directory} is no directory`,
  ENOTCONN: (directory) => `${directory} has lost its connection: mount it anew`,
  ESTALE: (directory) => `${directory} has lost its connection: mount it anew`,
  EIO: (directory) => `the disk of ${directory} fails: look at the disk`,
};

/** Whether an error carries this code. */
export function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}

/** The failure of something that was tried in the directory of a target; one that is told already stays as it is. */
export function directoryFailure(directory: string, what: string, error: unknown): unknown {
  if (error instanceof GatewayError || !(error instanceof Error)) return error;
  // Whoever ends a copy knows why, and the source of a copy has failures of its own.
  if (!('syscall' in error) || !('code' in error)) return error;
  const meaning = MEANINGS[String(error.code)]?.(directory) ?? `${directory} refused: ${error.message}`;
  return new GatewayError('backup_failed', `cannot ${what}: ${meaning}`, { cause: error });
}
