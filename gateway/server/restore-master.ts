import { existsSync } from 'node:fs';
import { chmod, link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join, relative, resolve, sep } from 'node:path';

import { syncDirectory } from '../backup/restore-place.ts';
import type { Environment } from '../config/environment.ts';
import { readSecret } from '../config/read-secret.ts';
import type { SecretReference } from '../config/secret-reference.ts';
import { GatewayError } from '../core/gateway-error.ts';

/** Where the restored master keys go, and what is left for the operator to do. */
export interface MasterPlace {
  /** Puts them there; nothing to do where they are at hand already. */
  put(): Promise<void>;
  /** A sentence for the operator. */
  readonly says: string;
}

/** What decides over the place of the master keys. */
export interface MasterRequest {
  /** As the policy says; `undefined` is the file of the data directory. */
  readonly reference: SecretReference | undefined;
  /** The data directory, and the one that becomes it. */
  readonly data: string;
  readonly staging: string;
  readonly environment: Environment;
  /** The master keys, as their file had them. */
  readonly text: string;
}

/**
 * Chooses where the master keys go: where the policy says when that is a file; otherwise, unless they are at hand, a
 * file of the data directory that the operator makes a variable or credential of.
 *
 * @throws GatewayError `restore_refused` when other master keys are in their place.
 */
export async function placeMaster(request: MasterRequest): Promise<MasterPlace> {
  const { reference, data, staging, environment, text } = request;
  const own = join(resolve(data), 'master.key');
  if (reference === undefined || reference.kind === 'file') {
    const file = resolve(reference?.path ?? own);
    const inside = insideOf(resolve(data), file);
    const says = `the master key is in ${file}`;
    if (inside !== undefined) return { put: () => writeKey(join(staging, inside), text), says };
    await refuseOther(file, text);
    return { put: () => writeKey(file, text), says };
  }
  const reading = readSecret(reference, environment);
  const name = `${reference.kind}:${reference.name}`;
  if ('value' in reading) {
    if (holdsAll(reading.value, text)) return { put: nothing, says: `the master key is at hand as ${name}` };
    throw otherKeys(name);
  }
  return {
    put: () => writeKey(join(staging, 'master.key'), text),
    says: `the master key is in ${own}: the policy wants it as ${name}; set that from the file, then delete the file`,
  };
}

/** The path of a file below a directory; `undefined` when it is elsewhere. */
export function insideOf(directory: string, file: string): string | undefined {
  const path = relative(directory, file);
  return path === '' || path === '..' || path.startsWith(`..${sep}`) ? undefined : path;
}

async function nothing(): Promise<void> {
  // They are at hand already.
}

async function refuseOther(file: string, text: string): Promise<void> {
  if (!existsSync(file)) return;
  if (!holdsAll(await readFile(file, 'utf8'), text)) throw otherKeys(file);
}

function otherKeys(where: string): GatewayError {
  return new GatewayError(
    'restore_refused',
    `${where} holds other master keys than the backup: move them away if nothing needs them, or add those of the backup`,
  );
}

/** Whether all keys of a text are among those at hand. */
function holdsAll(atHand: string, text: string): boolean {
  const there = new Set(linesOf(atHand));
  return linesOf(text).every((line) => there.has(line));
}

function linesOf(text: string): string[] {
  const lines = text.split('\n').map((line) => line.trim());
  return lines
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => (line.includes(':') ? line : `1:${line}`));
}

/** Whole or not at all; one that is there stays, and was found to hold the same. */
async function writeKey(file: string, text: string): Promise<void> {
  if (existsSync(file)) return;
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  const draft = `${file}.${process.pid}.restore`;
  await writeFile(draft, text, { mode: 0o600, flush: true });
  try {
    await chmod(draft, 0o600);
    await link(draft, file);
  } finally {
    await rm(draft, { force: true });
  }
  await syncDirectory(dirname(file));
}
