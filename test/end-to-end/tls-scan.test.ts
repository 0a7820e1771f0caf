/** What an auditor's scanner finds: testssl.sh over both profiles, with a chain that it trusts. */
import { execFile } from 'node:child_process';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { promisify } from 'node:util';
import tap, { test } from 'tap';
import { startProgram } from '../support/child-program.ts';
import { startRecordingUpstream } from '../support/recording-upstream.ts';
import { temporaryDirectory } from '../support/start-gateway.ts';
import { until } from '../support/redis-servers.ts';
import { type Finding, sslLabsGrade } from '../support/ssl-labs-grade.ts';
import { makeChain } from '../tls/make-chain.ts';

const run = promisify(execFile);
/** Protocols, cipher suites, forward secrecy, preferences, certificate, headers, known weaknesses. */
const CHECKS = ['-p', '-s', '-f', '-P', '-S', '-h', '-U'];
const upstream = await startRecordingUpstream();
const folder = temporaryDirectory();
// Authorities put a place for revocations into what they issue, and a scanner asks for it.
const chain = makeChain(folder, ['localhost'], {
  extensions: 'crlDistributionPoints=URI:http://crl.invalid/one.crl\n',
});
const certFile = join(folder, 'chain.pem');
writeFileSync(certFile, chain.leaf + chain.intermediate);
writeFileSync(join(folder, 'chain.key'), chain.key, { mode: 0o600 });
tap.teardown(() => upstream.close());

/** Starts a gateway with the chain under a profile. */
async function startProfile(profile: string) {
  const data = temporaryDirectory();
  const policies = join(data, 'policies.yaml');
  writeFileSync(
    policies,
    `
listen:
  public: { address: 127.0.0.1, port: 0 }
  admin: { address: 127.0.0.1, port: 0 }
  ops: { address: 127.0.0.1, port: 0 }
accounts: { single: main }
tls:
  profile: ${profile}
  certificates:
    - { hosts: [localhost], cert: "${certFile}", key: "${join(folder, 'chain.key')}" }
regions:
  - { id: home, nodes: ["${upstream.origin}"], health: { timeout: 30s } }
routes:
  - { name: all, match: { path: "/**" }, access: public }
sessions: { vault: [SID] }
`,
  );
  const program = startProgram(process.execPath, [
    'gateway/zasov.mjs',
    'serve',
    '--policies',
    policies,
    '--data',
    data,
  ]);
  const line = await program.line(/"event":\s*"ready"/, 20_000);
  const { listeners } = JSON.parse(line) as { listeners: { public: string } };
  return { program, port: Number(new URL(listeners.public).port) };
}

async function scan(profile: string): Promise<Finding[]> {
  const { program, port } = await startProfile(profile);
  const report = join(folder, `${profile}.json`);
  try {
    await run(
      'testssl',
      [
        '--ip=127.0.0.1',
        '--warnings=off',
        '--color=0',
        '--quiet',
        ...CHECKS,
        `--jsonfile=${report}`,
        `localhost:${port}`,
      ],
      // Its exit code counts findings of any severity; what counts here is read from the report.
      { env: { ...process.env, ADDITIONAL_CA_FILES: join(folder, 'root.pem') }, timeout: 200_000 },
    ).catch(() => undefined);
    return JSON.parse(readFileSync(report, 'utf8')) as Finding[];
  } finally {
    await program.stop();
  }
}

await test('testssl.sh finds nothing above low on either profile', async (t) => {
  const profiles = ['intermediate', 'modern'];
  const reports = await Promise.all(profiles.map(scan));
  for (const [index, findings] of reports.entries()) {
    const profile = profiles[index] ?? '';
    const byId = new Map(findings.map((each) => [each.id, each]));
    t.ok(findings.length > 60, `${profile}: ${findings.length} findings`);
    t.same(
      findings
        .filter(({ severity }) => !['OK', 'INFO', 'LOW'].includes(severity))
        // Of the machine that scans: its OpenSSL has no GOST engine, and knows resumption in TLS 1.2 only.
        .filter(({ id }) => id !== 'engine_problem' && id !== 'sessionresumption_ticket')
        .map(({ id, severity, finding }) => `${severity} ${id} ${finding}`),
      [],
      profile,
    );
    t.match(byId.get('cert_chain_of_trust'), { severity: 'OK' }, 'the chain is trusted');
    t.match(byId.get('TLS1_3'), { severity: 'OK' });
    t.match(byId.get('TLS1_2')?.finding, profile === 'modern' ? /^not offered/ : /^offered/);
    t.match(byId.get('HSTS')?.severity ?? byId.get('HSTS_time')?.severity, 'OK');
    // testssl.sh 3.0 gives no grade, so it is worked out from what it found.
    const { grade, score, reasons } = sslLabsGrade(findings);
    t.comment(`${profile}: ${grade}, ${score} points`);
    t.strictSame({ grade, reasons }, { grade: 'A+', reasons: [] }, `${profile}: the grade`);
  }

  // The other way round, so that the grade can fail.
  const [findings = []] = reports;
  for (const [id, severity, finding, lower] of [
    ['HSTS_time', 'LOW', 'not offered', 'A'],
    ['TLS1_3', 'LOW', 'not offered', 'A-'],
    ['TLS1', 'LOW', 'offered (deprecated)', 'B'],
    ['SWEET32', 'LOW', 'VULNERABLE', 'C'],
    ['ROBOT', 'CRITICAL', 'VULNERABLE', 'F'],
    ['cert_chain_of_trust', 'CRITICAL', 'failed', 'T'],
  ] as const) {
    const worse = findings.map((each) => (each.id === id ? { id, severity, finding } : each));
    t.equal(sslLabsGrade(worse).grade, lower, `were it otherwise with ${id}`);
  }
});

await test('a certificate file that is replaced is served by itself, and a half of a pair is not', async (t) => {
  const { program, port } = await startProfile('intermediate');
  t.teardown(() => program.stop());
  const served = (): Promise<string> =>
    new Promise((resolve, reject) => {
      const socket = connect({ host: '127.0.0.1', port, servername: 'localhost', ca: chain.root }, () => {
        const { serialNumber } = socket.getPeerCertificate();
        socket.destroy();
        resolve(serialNumber);
      });
      socket.once('error', reject);
    });
  const first = await served();
  const next = makeChain(temporaryDirectory(), ['localhost']);
  // The second chain has a root of its own, so that a client which trusts the first cannot take it.
  writeFileSync(join(folder, 'new.pem'), next.leaf + next.intermediate);
  renameSync(join(folder, 'new.pem'), certFile);
  await until(async () => program.output.stderr.includes('does not belong to the certificate'), 20_000);
  t.equal(await served(), first, 'the certificate alone is not taken');
  writeFileSync(join(folder, 'new.key'), next.key, { mode: 0o600 });
  renameSync(join(folder, 'new.key'), join(folder, 'chain.key'));
  await until(async () => {
    return await served().then(
      () => false,
      (error: unknown) => /verify|issuer|signature/i.test(String(error)),
    );
  }, 20_000);
  t.pass('the pair is');
});
