import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { systemClock } from '../../gateway/core/clock.ts';
import { createMasterKey, parseKeyring } from '../../gateway/crypto/keyring.ts';
import { sealedKeyFiles } from '../../gateway/store/key-file.ts';
import { certificateSnapshot } from '../../gateway/tls/certificate-snapshot.ts';
import type { ServedCertificate } from '../../gateway/tls/certificate-snapshot.ts';
import { describeMistakes, loadCertificates } from '../../gateway/tls/certificate-store.ts';
import type { CertificateOrigin } from '../../gateway/tls/certificate-store.ts';
import { makeChain } from './make-chain.ts';

function load(directory: string, origins: readonly CertificateOrigin[]) {
  return loadCertificates({
    origins,
    profile: 'intermediate',
    directory: join(directory, 'tls'),
    keys: sealedKeyFiles(parseKeyring(createMasterKey())),
    clock: systemClock,
  });
}

function served(...hosts: string[]): ServedCertificate {
  return { hosts, certPem: hosts.join(), keyPem: '', expiresAtMs: 1 };
}

await test('files and self-signed certificates stand side by side, in the order of the policies', async (t) => {
  const directory = t.testdir();
  const { leaf, intermediate, key } = makeChain(directory, ['files.example']);
  const [certFile, keyFile] = [join(directory, 'crm.pem'), join(directory, 'crm.key')];
  writeFileSync(certFile, leaf + intermediate);
  writeFileSync(keyFile, key, { mode: 0o600 });
  const result = await load(directory, [
    { kind: 'files', hosts: ['files.example'], certFile, keyFile },
    { kind: 'self_signed', hosts: ['*.crm.localhost'] },
  ]);
  if (!result.ok) throw new Error(describeMistakes(result.mistakes));
  t.equal(result.snapshot.fallback.certPem, leaf + intermediate, 'the first one is the default');
  t.match(result.snapshot.find('acme.crm.localhost')?.hosts, ['*.crm.localhost']);
  t.match(result.authority?.howToTrust, join(directory, 'tls', 'ca.pem'));
  t.same(
    result.snapshot.expiries.map(({ host }) => host),
    ['files.example', '*.crm.localhost'],
  );
  t.ok(result.snapshot.expiries.every(({ expiresAtMs }) => expiresAtMs > Date.now()));
  t.same(result.warnings, []);
  chmodSync(keyFile, 0o644);
  const open = await load(directory, [{ kind: 'files', hosts: ['files.example'], certFile, keyFile }]);
  t.match(open.ok && describeMistakes(open.warnings), 'every user of this machine can read the key');
});

await test('every mistake of every certificate is reported at once, with what to do', async (t) => {
  const directory = t.testdir();
  const { leaf, key } = makeChain(directory, ['a.example']);
  writeFileSync(join(directory, 'a.pem'), leaf);
  writeFileSync(join(directory, 'a.key'), key);
  const result = await load(directory, [
    {
      kind: 'files',
      hosts: ['b.example'],
      certFile: join(directory, 'a.pem'),
      keyFile: join(directory, 'a.key'),
    },
    {
      kind: 'files',
      hosts: ['c.example'],
      certFile: join(directory, 'none.pem'),
      keyFile: join(directory, 'a.key'),
    },
    { kind: 'self_signed', hosts: ['C.example'] },
  ]);
  t.equal(result.ok, false);
  const text = result.ok ? '' : describeMistakes(result.mistakes);
  t.match(text, 'a.pem: the certificate is not for "b.example"; get one');
  t.match(text, 'none.pem: it cannot be read (ENOENT); check the path');
  t.match(text, 'tls.certificates: "c.example" has two certificates; leave one');
  const none = await load(directory, []);
  t.match(none.ok ? '' : describeMistakes(none.mistakes), 'there is no certificate');
});

await test('an exact name goes before a wildcard, and a wildcard stands for exactly one label', async (t) => {
  const exact = served('special.crm.example', '192.0.2.7');
  const wildcard = served('*.crm.example');
  const snapshot = certificateSnapshot('modern', [wildcard, exact]);
  t.equal(snapshot.find('special.crm.example'), exact);
  t.equal(snapshot.find('SPECIAL.CRM.example'), exact, 'letter case does not count');
  t.equal(snapshot.find('acme.crm.example'), wildcard);
  t.equal(snapshot.find('192.0.2.7'), exact);
  for (const name of ['crm.example', 'a.b.crm.example', '.crm.example', 'example', '', '__proto__']) {
    t.equal(snapshot.find(name), undefined, `"${name}"`);
  }
});

await test('with ten thousand hosts a name is found as fast as with ten', async (t) => {
  const certificates = Array.from({ length: 10_000 }, (_, index) =>
    served(`h${index}.example`, `*.w${index}.example`),
  );
  const [first = served(), ...rest] = certificates;
  const snapshot = certificateSnapshot('intermediate', [first, ...rest]);
  t.equal(snapshot.find('h9999.example'), certificates[9999]);
  t.equal(snapshot.find('x.w9999.example'), certificates[9999]);
  const startedAt = performance.now();
  for (let index = 0; index < 100_000; index += 1) snapshot.find('x.w9999.example');
  const microseconds = (performance.now() - startedAt) / 100;
  t.ok(microseconds < 20, `${microseconds.toFixed(2)} µs a look-up`);
});
