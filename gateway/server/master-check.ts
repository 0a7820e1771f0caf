import { join } from 'node:path';
import { timingSafeEqual } from 'node:crypto';

import { ensurePrivateDirectory, readIfPresent, replaceFile } from '../config/private-file.ts';
import { GatewayError } from '../core/gateway-error.ts';
import type { Keyring } from '../crypto/keyring.ts';

const FILE = 'master.check';
const CHECK_BYTES = 16;

/** Which master key a data directory was last used with: its key id, and a value derived from it that opens nothing. */
export interface MasterCheck {
  readonly kid: string;
  readonly value: string;
}

/** @returns `undefined` before the first start. @throws the system's error when it cannot be read. */
export async function readMasterCheck(data: string): Promise<MasterCheck | undefined> {
  const [kid, value] = ((await readIfPresent(join(data, FILE))) ?? '').trim().split(':');
  return kid === undefined || value === undefined ? undefined : { kid, value };
}

/**
 * Refuses master keys that lack the one that the data directory was used with: a credential that was mixed up, a disk
 * with the key that is not mounted. Without this the gateway would start, make everything anew beside what it cannot
 * read, and turn away every key and session as unknown.
 *
 * Then remembers the current key. Safe when several processes do it at once, and when one is killed in the middle.
 *
 * @throws GatewayError `internal` that says what to do.
 */
export async function verifyMaster(
  keyring: Keyring,
  data: string,
  known: MasterCheck | undefined,
): Promise<void> {
  if (known !== undefined && !isSame(known.value, valueOf(keyring, known.kid)))
    throw otherMaster(data, known);
  const current = { kid: keyring.currentKid, value: valueOf(keyring, keyring.currentKid) ?? '' };
  if (known?.kid === current.kid && known.value === current.value) return;
  await ensurePrivateDirectory(data);
  await replaceFile(join(data, FILE), `${current.kid}:${current.value}\n`, 0o600);
}

/** What is said when the master key of a data directory is not among those at hand. */
export function otherMaster(data: string, { kid }: MasterCheck): GatewayError {
  return new GatewayError(
    'internal',
    `${data} was used with another master key (id "${kid}"), which is not at hand: put it back as a line of its own. ` +
      `To give up all that is sealed under it (sessions, API keys, administrators), delete ${join(data, FILE)}`,
  );
}

function valueOf(keyring: Keyring, kid: string): string | undefined {
  return keyring.derive(kid, 'master-check', CHECK_BYTES)?.toString('base64url');
}

function isSame(a: string, b: string | undefined): boolean {
  if (b === undefined || a.length !== b.length) return false;
  return timingSafeEqual(Buffer.from(a), Buffer.from(b));
}
