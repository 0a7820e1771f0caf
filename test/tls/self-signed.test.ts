import { execFileSync } from 'node:child_process';
import { X509Certificate, createPrivateKey } from 'node:crypto';
import { readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { createMasterKey, parseKeyring } from '../../gateway/crypto/keyring.ts';
import { sealedKeyFiles } from '../../gateway/store/key-file.ts';
import { ensureSelfSigned } from '../../gateway/tls/self-signed.ts';
import { describeTrust } from '../../gateway/tls/trust-instructions.ts';
import { issueLeaf } from '../../gateway/tls/issue-certificate.ts';

const DAY_MS = 86_400_000;
const HOSTS = ['*.crm.localhost', 'crm.localhost', 'localhost'];
const NOW = Date.now();
const keys = sealedKeyFiles(parseKeyring(createMasterKey()));

/** The independent judge of our ASN.1: OpenSSL's strict verification, for one host name or address. */
function opensslVerify(caFile: string, certFile: string, ...name: string[]): string {
  try {
    const strict = ['verify', '-x509_strict', '-check_ss_sig', '-purpose', 'sslserver', '-CAfile', caFile];
    return execFileSync('openssl', [...strict, ...name, certFile], { stdio: 'pipe' }).toString();
  } catch (error) {
    return String((error as { stderr?: Buffer }).stderr);
  }
}

async function make(directory: string, hostLists: string[][] = [HOSTS], nowMs = NOW) {
  const { authority, certificates } = await ensureSelfSigned({ directory, hostLists, nowMs, keys });
  const [certificate] = certificates;
  if (!certificate) throw new Error('no certificate');
  return { authority, certificate, certificates };
}

await test('openssl accepts the chain under its strict rules, for every host and both addresses', async (t) => {
  const { authority, certificate } = await make(join(t.testdir(), 'tls'));
  const names = ['acme.crm.localhost', 'crm.localhost', 'localhost'].map((host) => [
    '-verify_hostname',
    host,
  ]);
  for (const name of [...names, ['-verify_ip', '127.0.0.1'], ['-verify_ip', '::1']]) {
    t.match(opensslVerify(authority.caFile, certificate.certFile, ...name), ': OK', name.join(' '));
  }
  t.notMatch(
    opensslVerify(authority.caFile, certificate.certFile, '-verify_hostname', 'example.org'),
    ': OK',
    'and refuses a host that is not in it',
  );
});

await test('the authority cannot vouch for a foreign host, even with its key stolen', async (t) => {
  const directory = join(t.testdir(), 'tls');
  const { authority } = await make(directory);
  const ca = new X509Certificate(authority.caPem);
  const signer = {
    name: /^CN=(.*)$/m.exec(ca.subject)?.[1] ?? '',
    publicKey: ca.publicKey,
    privateKey: createPrivateKey((await keys.read(join(directory, 'ca.key'))) ?? ''),
  };
  for (const host of ['bank.example', '10.0.0.1']) {
    const forged = join(directory, 'forged.pem');
    writeFileSync(forged, issueLeaf([host], signer, NOW, 30).certPem);
    t.match(opensslVerify(authority.caFile, forged), 'permitted subtree violation', host);
  }
});

await test('keys are readable by their owner only, and nothing half-written stays', async (t) => {
  const directory = join(t.testdir(), 'tls');
  const { certificate } = await make(directory);
  t.equal(statSync(directory).mode & 0o777, 0o700);
  t.equal(statSync(certificate.keyFile).mode & 0o777, 0o600);
  t.equal(statSync(join(directory, 'ca.key')).mode & 0o777, 0o600);
  t.same(
    readdirSync(directory).filter((name) => name.endsWith('.tmp')),
    [],
  );
});

await test('a second start takes the same files', async (t) => {
  const directory = join(t.testdir(), 'tls');
  const first = await make(directory);
  const second = await make(directory, [HOSTS], NOW + 300 * DAY_MS);
  t.equal(second.certificate.certPem, first.certificate.certPem);
  t.equal(second.certificate.keyPem, first.certificate.keyPem);
  t.equal(second.authority.caPem, first.authority.caPem);
  t.equal(first.authority.created, true);
  t.equal(second.authority.created, false, 'and asks nobody to trust anything again');
});

await test('a leaf is renewed within 30 days of its end, under the same authority', async (t) => {
  const directory = join(t.testdir(), 'tls');
  const first = await make(directory);
  const early = await make(directory, [HOSTS], first.certificate.expiresAtMs - 31 * DAY_MS);
  t.equal(early.certificate.certPem, first.certificate.certPem);
  const due = await make(directory, [HOSTS], first.certificate.expiresAtMs - 29 * DAY_MS);
  t.not(due.certificate.certPem, first.certificate.certPem);
  t.not(due.certificate.keyPem, first.certificate.keyPem, 'with a key of its own');
  t.equal(due.authority.caPem, first.authority.caPem);
});

await test('no leaf outlives its authority, which lives ten years at most', async (t) => {
  const directory = join(t.testdir(), 'tls');
  const first = await make(directory);
  const ca = new X509Certificate(first.authority.caPem);
  const leaf = new X509Certificate(first.certificate.certPem);
  t.ok(ca.validToDate.getTime() - ca.validFromDate.getTime() <= 3650 * DAY_MS);
  t.ok(leaf.validToDate.getTime() - leaf.validFromDate.getTime() <= 397 * DAY_MS);
  const late = await make(directory, [HOSTS], ca.validToDate.getTime() - 100 * DAY_MS);
  t.equal(late.authority.created, true);
  t.ok(new X509Certificate(late.authority.caPem).validToDate.getTime() > late.certificate.expiresAtMs);
});

await test('changed hosts get a new leaf; the authority changes only when it may not sign for them', async (t) => {
  const directory = join(t.testdir(), 'tls');
  const first = await make(directory);
  const narrower = await make(directory, [['crm.localhost', '*.eu.crm.localhost']]);
  t.equal(narrower.authority.caPem, first.authority.caPem);
  t.match(new X509Certificate(narrower.certificate.certPem).subjectAltName, 'DNS:*.eu.crm.localhost');
  t.same(
    readdirSync(directory).filter((name) => name.endsWith('.key')).length,
    2,
    'and the old leaf key is gone',
  );
  const wider = await make(directory, [[...HOSTS, 'crm.example.org', '192.0.2.7']]);
  t.equal(wider.authority.created, true);
  const address = opensslVerify(
    wider.authority.caFile,
    wider.certificate.certFile,
    '-verify_ip',
    '192.0.2.7',
  );
  t.match(address, ': OK');
});

await test('a torn or foreign file leads to a new certificate, never to a mismatched pair', async (t) => {
  const base = t.testdir();
  const directory = join(base, 'tls');
  const other = await make(join(base, 'other'));
  const first = await make(directory);
  writeFileSync(first.certificate.keyFile, other.certificate.keyPem);
  const second = await make(directory);
  t.not(second.certificate.certPem, first.certificate.certPem);
  writeFileSync(join(directory, 'ca.key'), 'torn');
  const third = await make(directory);
  t.equal(third.authority.created, true);
  t.match(
    opensslVerify(third.authority.caFile, third.certificate.certFile, '-verify_hostname', 'localhost'),
    ': OK',
  );
});

await test('several lists of hosts share one authority', async (t) => {
  const { authority, certificates } = await make(join(t.testdir(), 'tls'), [
    ['a.example'],
    ['*.b.example', 'b.example'],
  ]);
  for (const [index, host] of ['a.example', 'x.b.example'].entries()) {
    const file = certificates[index]?.certFile ?? '';
    t.match(opensslVerify(authority.caFile, file, '-verify_hostname', host), ': OK');
  }
});

await test('the instructions name the certificate, and never the key', async (t) => {
  const text = describeTrust('/data/tls/ca.pem');
  for (const system of ['Linux', 'macOS', 'Windows', 'Firefox']) t.match(text, system);
  t.notMatch(text, 'ca.key');
});
