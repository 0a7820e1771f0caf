import { GatewayError } from '../core/gateway-error.ts';
import type { StoredKey } from '../store/key-store.ts';
import type { KeyVault } from './key-vault.ts';

/**
 * Puts a key on hold: it opens nothing until somebody has looked at it and released it. For a restore that cannot know
 * what became of keys after the backup.
 *
 * @throws GatewayError `backup_invalid` when the master key does not open it.
 */
export function holdStoredKey(vault: KeyVault, stored: StoredKey): StoredKey {
  const record = vault.open(stored);
  if (record === undefined)
    throw new GatewayError(
      'backup_invalid',
      `the API key ${stored.lineage} does not open under the master key`,
    );
  const held = vault.seal({ ...record, held: true }, stored.version + 1, stored.dueMs);
  return { ...held, person: stored.person };
}
