import type { StoredKey } from '../store/key-store.ts';
import { type KeyRecord, stopsAtMs } from './key-life.ts';
import type { KeyVault } from './key-vault.ts';

/**
 * Puts a key on hold, for a restore that cannot know what became of it since the snapshot: the same key one version
 * later, which opens nothing until the operator releases it.
 *
 * @param pastMs a time that is surely over, whatever the clock of this machine says: that of the snapshot.
 * @returns the key as it is when it opens nothing anyway: it cannot be opened, is on hold already, was revoked, or was
 * at its end by then.
 */
export function holdStoredKey(vault: KeyVault, key: StoredKey, pastMs: number): StoredKey {
  const record = vault.open(key);
  if (record === undefined || record.held === true || isOver(record, pastMs)) return key;
  return vault.seal({ ...record, held: true }, key.version + 1, key.dueMs);
}

function isOver({ generations }: KeyRecord, pastMs: number): boolean {
  return generations.every((each) => each.over?.state === 'revoked' || stopsAtMs(each) <= pastMs);
}
