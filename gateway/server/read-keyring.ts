import { join, relative, resolve } from 'node:path';

import type { Environment } from '../config/environment.ts';
import { readOrMakeKeyFile } from '../config/master-key-file.ts';
import { readSecret } from '../config/read-secret.ts';
import { GatewayError } from '../core/gateway-error.ts';
import { createMasterKey, type Keyring, parseKeyring } from '../crypto/keyring.ts';
import type { Policy } from '../policy/policy.ts';

/**
 * Reads the master keys: where the policy says, or a file of the gateway's own that is made on its first start.
 *
 * @param data the data directory.
 * @throws GatewayError `internal` when there are none to be read.
 */
export async function readKeyring(
  policy: Pick<Policy, 'masterKey'>,
  data: string,
  environment: Environment,
): Promise<Keyring> {
  const reference = policy.masterKey ?? { kind: 'file', path: join(data, 'master.key') };
  if (reference.kind === 'file')
    return parseKeyring(await readOrMakeKeyFile(reference.path, createMasterKey));
  const reading = readSecret(reference, environment);
  if ('value' in reading) return parseKeyring(reading.value);
  throw new GatewayError('internal', `secrets.master_key: ${reading.problem}`);
}

/** Whether the master keys lie beside what they protect, so that whoever takes the disk has both. */
export function isKeyWithData({ masterKey }: Pick<Policy, 'masterKey'>, data: string): boolean {
  if (masterKey === undefined) return true;
  return masterKey.kind === 'file' && !relative(resolve(data), resolve(masterKey.path)).startsWith('..');
}
