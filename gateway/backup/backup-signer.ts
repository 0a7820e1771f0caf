import type { Keyring } from '../crypto/keyring.ts';
import { createSigner, publicKeysOf, type Signer } from '../crypto/signing-key.ts';

/** What the key is derived for. Another text would be another key, and every older archive a stranger's. */
const PURPOSE = 'backup-signature';

/** Signs the archives, notes, segments and reports of a gateway. */
export function createBackupSigner(keyring: Keyring): Signer {
  return createSigner(keyring, PURPOSE);
}

/** The public keys of that signer under every key of the ring, the current one first. */
export function backupSignerKeys(keyring: Keyring): string[] {
  return publicKeysOf(keyring, PURPOSE);
}
