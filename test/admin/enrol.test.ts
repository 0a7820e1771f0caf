import { spawnSync } from 'node:child_process';
import { createPrivateKey, generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { test } from 'tap';

import { fingerprintOf, readPublicKey } from '../../gateway/admin/client-certificate.ts';
import { goodPolicy, SHORTEST } from '../support/policy-fixture.ts';
import { temporaryDirectory } from '../support/start-gateway.ts';

interface Enrolled {
  readonly certificate: string;
  readonly policy: string;
  readonly cert_file: string;
  readonly key_file?: string;
  readonly pkcs12_file?: string;
  readonly pkcs12_password?: string;
}

const out = temporaryDirectory();
const data = join(temporaryDirectory(), 'not', 'made', 'yet');

function zasov(...words: string[]) {
  return spawnSync(process.execPath, ['gateway/zasov.mjs', ...words, '--data', data, '--out', out], {
    encoding: 'utf8',
  });
}

function enrol(name: string, ...more: string[]): Enrolled {
  const { stdout, stderr, status } = zasov('admins', 'enrol', name, '--json', ...more);
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as Enrolled;
}

function openssl(...words: string[]) {
  const { status, stdout, stderr } = spawnSync('openssl', words, { encoding: 'utf8' });
  return { status, text: stdout + stderr };
}

void test('one command before any gateway runs makes key, certificate and the line for the policy', (t) => {
  const anna = enrol('Анна Петрова');
  const boris = enrol('Boris');
  t.equal(statSync(anna.key_file ?? '').mode & 0o777, 0o600);
  t.equal(statSync(anna.pkcs12_file ?? '').mode & 0o777, 0o600);
  t.equal(statSync(join(data, 'admin', 'ca.key')).mode & 0o777, 0o600);
  const { policy } = goodPolicy(t, `${SHORTEST}admins:\n  ${anna.policy}\n  ${boris.policy}\n`);
  t.equal(policy.admins?.[0]?.name, 'Анна Петрова');
  const certificate = new X509Certificate(readFileSync(anna.cert_file));
  t.equal(policy.admins?.[0]?.fingerprint, fingerprintOf(certificate.publicKey));
  t.ok(certificate.checkPrivateKey(createPrivateKey(readFileSync(anna.key_file ?? ''))));
  t.match(zasov('admins', 'enrol', 'Boris'), { status: 1, stderr: /is there already/ });
  t.match(zasov('admins', 'enrol', '-x-'), { status: 2 });
  t.end();
});

void test('openssl takes the certificate for a client’s, and for a server’s never', (t) => {
  const { cert_file: file } = enrol('Vera');
  const verify = (purpose: string) =>
    openssl('verify', '-x509_strict', '-purpose', purpose, '-CAfile', join(out, 'admin-ca.pem'), file);
  t.equal(verify('sslclient').status, 0, verify('sslclient').text);
  t.not(verify('sslserver').status, 0);
  t.end();
});

void test('openssl opens the PKCS #12 with its password and with no other', (t) => {
  const { pkcs12_file: file = '', pkcs12_password: password = '' } = enrol('Galja');
  const read = (secret: string) => openssl('pkcs12', '-in', file, '-passin', `pass:${secret}`, '-nodes');
  const opened = read(password);
  t.equal(opened.status, 0, opened.text);
  t.match(opened.text, /friendlyName: Zasov Galja/);
  t.match(opened.text, /-----BEGIN PRIVATE KEY-----/);
  t.equal(opened.text.match(/-----BEGIN CERTIFICATE-----/g)?.length, 2, 'with its authority');
  t.not(read(`${password}x`).status, 0);
  t.notOk(readFileSync(file).includes(password));
  t.end();
});

void test('the key of a person can stay on the person’s machine', (t) => {
  const folder = temporaryDirectory();
  const [key, csr] = [join(folder, 'p.key'), join(folder, 'p.csr')];
  for (const [index, algorithm] of ['ec:P-256', 'ec:P-384', 'rsa:2048'].entries()) {
    const [kind = '', size = ''] = algorithm.split(':');
    const option = kind === 'ec' ? ['-pkeyopt', `ec_paramgen_curve:${size}`] : [];
    const made = openssl(
      'req',
      '-newkey',
      kind === 'ec' ? 'ec' : algorithm,
      ...option,
      '-nodes',
      '-keyout',
      key,
      '-out',
      csr,
      '-subj',
      '/CN=x',
    );
    t.equal(made.status, 0, made.text);
    const enrolled = enrol(`Person ${index}`, '--csr', csr);
    t.equal(enrolled.key_file, undefined);
    const certificate = new X509Certificate(readFileSync(enrolled.cert_file));
    t.ok(certificate.checkPrivateKey(createPrivateKey(readFileSync(key))), algorithm);
    t.equal(enrolled.certificate, `sha256:${fingerprintOf(certificate.publicKey)}`);
  }
  const text = readFileSync(csr, 'utf8');
  const forged = Buffer.from(text.replaceAll(/-----[^-]+-----|\s/g, ''), 'base64');
  forged[forged.length - 3] = (forged[forged.length - 3] ?? 0) ^ 1;
  writeFileSync(
    csr,
    `-----BEGIN CERTIFICATE REQUEST-----\n${forged.toString('base64')}\n-----END CERTIFICATE REQUEST-----\n`,
  );
  t.match(zasov('admins', 'enrol', 'Mallory', '--csr', csr), { status: 1, stderr: /signature .* is wrong/ });
  t.end();
});

void test('weak and unusual keys are refused', (t) => {
  const spki = (key: KeyObject) => key.export({ type: 'spki', format: 'der' }).toString('base64');
  t.ok(readPublicKey(spki(generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey)));
  t.equal(readPublicKey(spki(generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey)), undefined);
  t.equal(readPublicKey(spki(generateKeyPairSync('ed25519').publicKey)), undefined);
  t.equal(readPublicKey('AAAA'), undefined);
  t.end();
});
