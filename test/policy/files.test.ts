import { createPrivateKey, createPublicKey } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import forge from 'node-forge';
import { test } from 'tap';
import { loadPolicy } from '../../gateway/policy/load-policy.ts';
import { SHORTEST } from '../support/policy-fixture.ts';

/** A key and a certificate for it, as PEM. */
function makePair(): { cert: string; key: string } {
  const keys = forge.pki.rsa.generateKeyPair(1024);
  const certificate = forge.pki.createCertificate();
  certificate.publicKey = keys.publicKey;
  certificate.serialNumber = '01';
  certificate.validity.notAfter = new Date(Date.now() + 86_400_000);
  certificate.sign(keys.privateKey, forge.md.sha256.create());
  return { cert: forge.pki.certificateToPem(certificate), key: forge.pki.privateKeyToPem(keys.privateKey) };
}

await test('certificate files are looked into: there, PEM, and belonging together', async (t) => {
  const [first, second] = [makePair(), makePair()];
  const publicKey = createPublicKey(createPrivateKey(first.key)).export({ type: 'spki', format: 'pem' });
  const folder = t.testdir({
    'first.pem': first.cert,
    'first.key': first.key,
    'second.key': second.key,
    'public.key': publicKey,
    'empty.pem': '',
    folder: {},
  });
  const say = (cert: string, key: string) => {
    const file = join(folder, 'p.yaml');
    writeFileSync(
      file,
      `${SHORTEST}tls: { certificates: [{ hosts: [a], cert: "${join(folder, cert)}", key: "${join(folder, key)}" }] }\n`,
    );
    const reading = loadPolicy(file, {});
    return 'mistakes' in reading
      ? reading.mistakes.map(({ message }) =>
          message.replaceAll(`${folder}/`, '').replace('tls.certificates[0].', ''),
        )
      : reading.policy.tls.certificates;
  };
  t.strictSame(say('first.pem', 'first.key'), [
    { kind: 'files', hosts: ['a'], certFile: join(folder, 'first.pem'), keyFile: join(folder, 'first.key') },
  ]);
  t.strictSame(say('first.pem', 'second.key'), ['key: the key does not belong to the certificate']);
  t.strictSame(say('first.pem', 'public.key'), [
    'key: the file holds no PEM private key (without a passphrase)',
  ]);
  t.strictSame(say('empty.pem', 'first.key'), ['cert: the file holds no PEM certificate']);
  t.strictSame(say('none.pem', 'folder'), ['cert: none.pem does not exist', 'key: folder is not a PEM file']);
});

await test('a key that stands in the policy itself is refused and not repeated', async (t) => {
  const { key } = makePair();
  const file = join(t.testdir(), 'p.yaml');
  writeFileSync(
    file,
    `${SHORTEST}tls:\n  certificates:\n    - hosts: [a]\n      cert: a.pem\n      key: ${JSON.stringify(key)}\n`,
  );
  const reading = loadPolicy(file, {});
  const text = JSON.stringify(reading);
  t.match(text, /the key itself never stands in a policy/);
  t.notMatch(text, /BEGIN/);
});
