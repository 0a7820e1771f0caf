import { existsSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';

import type { Environment } from '../config/environment.ts';
import { readOrMakeKeyFile } from '../config/master-key-file.ts';
import { readSecret } from '../config/read-secret.ts';
import { GatewayError } from '../core/gateway-error.ts';
import { createMasterKey, type Keyring, parseKeyring } from '../crypto/keyring.ts';
import type { Policy } from '../policy/policy.ts';
import { type MasterCheck, otherMaster, readMasterCheck, verifyMaster } from './master-check.ts';

/**
 * Reads the master keys: where the policy says, or a file of the gateway's own that is made on its first start.
 *
 * @param data the data directory.
 * @throws GatewayError `internal` when there are none to be read, or not those that the data directory was used with.
 */
export async function readKeyring(
  policy: Pick<Policy, 'masterKey'>,
  data: string,
  environment: Environment,
): Promise<Keyring> {
  const known = await readMasterCheck(data);
  const keyring = parseKeyring(await readText(policy, data, environment, known));
  await verifyMaster(keyring, data, known);
  return keyring;
}

async function readText(
  { masterKey }: Pick<Policy, 'masterKey'>,
  data: string,
  environment: Environment,
  known: MasterCheck | undefined,
): Promise<string> {
  const reference = masterKey ?? { kind: 'file', path: join(data, 'master.key') };
  if (reference.kind === 'file') {
    // A file that went away, perhaps with the disk that it is on, must not come back as a new key.
    if (known !== undefined && !existsSync(reference.path)) {
      throw new GatewayError('internal', `${reference.path} is missing; ${otherMaster(data, known).message}`);
    }
    return await readOrMakeKeyFile(reference.path, createMasterKey);
  }
  const reading = readSecret(reference, environment);
  if ('value' in reading) return reading.value;
  throw new GatewayError('internal', `secrets.master_key: ${reading.problem}`);
}

/** Whether the master keys lie beside what they protect, so that whoever takes the disk has both. */
export function isKeyWithData({ masterKey }: Pick<Policy, 'masterKey'>, data: string): boolean {
  if (masterKey === undefined) return true;
  return masterKey.kind === 'file' && !relative(resolve(data), resolve(masterKey.path)).startsWith('..');
}
