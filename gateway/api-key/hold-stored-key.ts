import type { StoredKey } from '../store/key-store.ts';
import type { KeyVault } from './key-vault.ts';

/**
 * Puts a key on hold, for a restore that cannot know what became of it since the snapshot: the same key one version
 * later, which opens nothing until the operator releases it.
 *
 * @returns the key as it is when it cannot be opened: it opens nothing anyway.
 */
export function holdStoredKey(vault: KeyVault, key: StoredKey): StoredKey {
  const record = vault.open(key);
  return record === undefined ? key : vault.seal({ ...record, held: true }, key.version + 1, key.dueMs);
}
