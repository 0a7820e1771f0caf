import { existsSync } from 'node:fs';

import { processEnvironment } from '../config/environment.ts';
import type { Keyring } from '../crypto/keyring.ts';
import { loadPolicy } from '../policy/load-policy.ts';
import { readKeyring } from '../server/read-keyring.ts';

/**
 * The master keys of a gateway that may not run: where its policies say, or the file of the data directory, which is
 * made when it is missing, as long as there are no policies.
 *
 * @throws Error when the policies have mistakes, or the key cannot be read.
 */
export async function offlineKeyring(policies: string, data: string): Promise<Keyring> {
  const environment = processEnvironment();
  if (!existsSync(policies)) return await readKeyring({ masterKey: undefined }, data, environment);
  const reading = loadPolicy(policies, environment);
  if ('policy' in reading) return await readKeyring(reading.policy, data, environment);
  throw new Error(`the policies in ${policies}, which name the master key, have mistakes; see zasov check`);
}
