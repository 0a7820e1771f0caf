import { execFileSync } from 'node:child_process';
import { test } from 'tap';
import { checkCertificate } from '../../gateway/tls/certificate-check.ts';
import { makeChain } from './make-chain.ts';

// An hour on, so that what this file makes is valid already.
const NOW = Date.now() + 3_600_000;
const DAY_MS = 86_400_000;
const HOSTS = ['crm.example', '*.crm.example'];

/** The finding for a chain in a file, as one text. */
function find(certPem: string, keyPem: string, hosts: readonly string[] = HOSTS, nowMs = NOW) {
  const { mistakes, warnings } = checkCertificate(
    { certFile: 'certs/crm.pem', certPem, keyFile: 'certs/crm.key', keyPem, hosts },
    nowMs,
  );
  const text = (list: typeof mistakes): string => list.map(({ file, what }) => `${file}: ${what}`).join('\n');
  return { mistakes: text(mistakes), warnings: text(warnings) };
}

await test('a good chain has nothing wrong with it, with or without its root', async (t) => {
  const { leaf, intermediate, root, key } = makeChain(t.testdir(), HOSTS);
  t.same(find(leaf + intermediate, key), { mistakes: '', warnings: '' });
  t.same(find(leaf + intermediate + root, key), { mistakes: '', warnings: '' });
});

await test('a chain in the wrong order is told from a key that belongs to nothing', async (t) => {
  const { leaf, intermediate, root, key, otherKey } = makeChain(t.testdir(), HOSTS);
  t.match(find(intermediate + leaf, key).mistakes, 'the server certificate is number 2 in the file');
  t.match(find(leaf + root + intermediate, key).mistakes, 'certificate 2 did not issue certificate 1');
  t.match(find(leaf + intermediate, otherKey).mistakes, 'certs/crm.key do not belong together');
});

await test('dates are judged for the whole chain, and the end is announced three weeks before', async (t) => {
  const { leaf, intermediate, key } = makeChain(t.testdir(), HOSTS);
  const chain = leaf + intermediate;
  t.match(
    find(chain, key, HOSTS, NOW + 91 * DAY_MS).mistakes,
    /CN=leaf expired.*\n.*CN=intermediate expired/,
  );
  t.match(find(chain, key, HOSTS, NOW - DAY_MS).mistakes, 'is valid only from');
  t.match(find(chain, key, HOSTS, NOW + 80 * DAY_MS).warnings, 'expires in 9 days');
  t.equal(find(chain, key, HOSTS, NOW + 60 * DAY_MS).warnings, '');
});

await test('weak keys, weak signatures and foreign purposes are refused', async (t) => {
  const directory = t.testdir();
  const cases = [
    [{ key: ['-newkey', 'rsa:1024'] }, 'RSA of 1024 bits'],
    [{ key: ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:secp224r1'] }, 'curve secp224r1'],
    [{ key: ['-newkey', 'ed25519'] }, 'ed25519 keys are not understood'],
    [{ digest: '-sha1' }, 'is signed with ecdsa-with-SHA1'],
    [{ purpose: 'clientAuth' }, 'is not meant for servers'],
  ] as const;
  for (const [options, expected] of cases) {
    const { leaf, intermediate, key } = makeChain(directory, HOSTS, options);
    t.match(find(leaf + intermediate, key).mistakes, expected);
  }
});

await test('each host must be in the certificate; a wildcard covers one label, not itself', async (t) => {
  const { leaf, intermediate, key } = makeChain(t.testdir(), ['*.crm.example']);
  const chain = leaf + intermediate;
  t.equal(find(chain, key, ['*.crm.example', 'acme.crm.example']).mistakes, '');
  for (const host of ['crm.example', 'a.b.crm.example', '*.example', '192.0.2.7']) {
    t.match(find(chain, key, [host]).mistakes, `not for "${host}"`);
  }
});

await test('files with something else in them are named, and no key material is quoted', async (t) => {
  const { leaf, key } = makeChain(t.testdir(), HOSTS);
  t.match(find('', key).mistakes, 'certs/crm.pem: there is no PEM certificate in it');
  t.match(find(leaf.replace(/\n.{20}/, '\nAAAA'), key).mistakes, 'certificate 1 in the file cannot be read');
  const broken = find(leaf, key.slice(0, 100)).mistakes;
  t.match(broken, 'certs/crm.key: there is no readable private key');
  t.notMatch(broken, key.slice(40, 60));
  const encrypt = ['pkey', '-aes256', '-passout', 'pass:secret'];
  const locked = execFileSync('openssl', encrypt, { input: key, stdio: 'pipe' }).toString();
  t.match(find(leaf, locked).mistakes, 'the key is encrypted');
});
