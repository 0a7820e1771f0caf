import { test } from 'tap';

import { createMasterKey, parseKeyring } from '../../gateway/crypto/keyring.ts';
import {
  createSigner,
  publicKeysOf,
  signerFingerprint,
  verifySignature,
} from '../../gateway/crypto/signing-key.ts';

await test('a signature holds for its text, its key and its purpose, and for nothing else', async (t) => {
  const keyring = parseKeyring(createMasterKey());
  const signer = createSigner(keyring, 'one');
  const signature = signer.sign('text');
  t.equal(verifySignature(signer.publicKey, 'text', signature), true);
  t.equal(verifySignature(signer.publicKey, 'texT', signature), false);
  t.equal(verifySignature(createSigner(keyring, 'other').publicKey, 'text', signature), false);
  t.equal(verifySignature('', 'text', signature), false);
  t.equal(verifySignature(signer.publicKey, 'text', 'no signature'), false);
});

await test('the same master key makes the same signer, and a former one is still known', async (t) => {
  const former = createMasterKey();
  const before = createSigner(parseKeyring(former), 'one').publicKey;
  t.equal(createSigner(parseKeyring(former), 'one').publicKey, before);
  const rotated = parseKeyring(createMasterKey().replace('1:', '2:') + former);
  t.not(createSigner(rotated, 'one').publicKey, before);
  t.equal(publicKeysOf(rotated, 'one')[1], before);
  t.match(signerFingerprint(before), /^zsb1:[0-9a-f]{64}$/);
});
