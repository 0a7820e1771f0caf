/** OpenSSH through the admin listener: a real sshd, a real ssh, and `zasov ssh` as its ProxyCommand. */
import { execFile, execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import tap, { test } from 'tap';
import { auditEvents, type Credentials, metricOf, startAdminGateway } from '../support/admin-gateway.ts';
import { makeAdministrator } from '../support/administrator.ts';
import { startProgram } from '../support/child-program.ts';
import { freePort } from '../support/open-policy.ts';
import { temporaryDirectory } from '../support/start-gateway.ts';
import { eventually } from '../support/wire.ts';

const directory = temporaryDirectory();
const file = (name: string) => join(directory, name);
const sshPort = await freePort();
for (const name of ['host', 'user'])
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', file(name)]);
execFileSync('cp', [file('user.pub'), file('authorized')]);
writeFileSync(
  file('sshd_config'),
  [
    `Port ${sshPort}`,
    'ListenAddress 127.0.0.1',
    `HostKey ${file('host')}`,
    `AuthorizedKeysFile ${file('authorized')}`,
    'PidFile none',
    'UsePAM no',
    'StrictModes no',
    'PasswordAuthentication no',
    'PermitRootLogin prohibit-password',
    '',
  ].join('\n'),
);
// Where sshd shuts itself in before anybody has signed in; only root needs it.
if (userInfo().uid === 0) mkdirSync('/run/sshd', { recursive: true });
const sshd = startProgram('/usr/sbin/sshd', ['-D', '-e', '-f', file('sshd_config')]);
await eventually(
  () =>
    new Promise<boolean>((resolve) => {
      const probe = connect({ port: sshPort, host: '127.0.0.1' }, () => {
        probe.destroy();
        resolve(true);
      });
      probe.on('error', () => resolve(false));
    }),
  15_000,
  () => `sshd: ${sshd.output.stderr} ${sshd.output.stdout}`,
);

const admins = await startAdminGateway(`
regions: [{ id: a, nodes: ["http://127.0.0.1:9"], health: { every: 10m } }]
routes: [{ name: all, match: { path: "/**" }, access: session }]
sessions: {}
admin_access: { servers: ["127.0.0.1:${sshPort}"] }
`);
const { gateway } = admins;
tap.teardown(async () => {
  await sshd.stop();
  await gateway.program.stop();
});
const annas = await admins.certify(admins.anna);

/** The words of a ProxyCommand. @param name of the files in which the credentials are. */
function proxyCommand(name: string, { cert, key }: Credentials): string {
  writeFileSync(file(`${name}.pem`), cert);
  writeFileSync(file(`${name}.key`), key, { mode: 0o600 });
  return [
    process.execPath,
    'gateway/zasov.mjs ssh %h:%p',
    `--cert ${file(`${name}.pem`)} --key ${file(`${name}.key`)}`,
    `--url ${gateway.listeners.admin} --data ${gateway.data}`,
  ].join(' ');
}

/** Runs a command on the server. @param proxy see {@link proxyCommand}. */
async function ssh(
  proxy: string,
  command: string,
): Promise<{ code: number; stdout: string; stderr: string }> {
  const options = {
    ProxyCommand: proxy,
    StrictHostKeyChecking: 'accept-new',
    UserKnownHostsFile: file('known_hosts'),
    IdentityFile: file('user'),
    IdentitiesOnly: 'yes',
    BatchMode: 'yes',
    ConnectTimeout: '20',
  };
  const words = Object.entries(options).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
  const run = ['-F', 'none', '-p', String(sshPort), ...words, '127.0.0.1', command];
  try {
    const { stdout, stderr } = await promisify(execFile)('ssh', run, {
      maxBuffer: 64 * 1024 * 1024,
      encoding: 'latin1',
    });
    return { code: 0, stdout, stderr };
  } catch (error) {
    const failed = error as { code: number; stdout: string; stderr: string };
    return { code: failed.code, stdout: failed.stdout, stderr: failed.stderr };
  }
}

await test('an administrator runs a command on the server, and its bytes arrive whole', async (t) => {
  const proxy = proxyCommand('Anna', annas);
  t.match(await ssh(proxy, 'echo from the server; exit 7'), { code: 7, stdout: 'from the server\n' });
  const bulk = await ssh(proxy, 'head -c 20000000 /dev/zero | tr "\\0" z');
  t.equal(bulk.stdout.length, 20_000_000, bulk.stderr);
  t.match(bulk.stdout, /^z+$/);
  await eventually(async () => (await metricOf(gateway, 'zasov_streams_active', 'kind="tunnel"')) === 0);
  const closed = auditEvents(gateway).filter(({ event }) => event === 'tunnel.closed');
  t.match(closed.at(-1)?.facts, { administrator: 'Anna', server: `127.0.0.1:${sshPort}` });
  t.ok(Number(closed.at(-1)?.facts.bytes_out) > 20_000_000);
});

await test('others are told why they do not get there', async (t) => {
  const carl = await admins.certify(makeAdministrator('Carl'));
  t.match(await ssh(proxyCommand('Carl', carl), 'true'), {
    code: 255,
    stderr: /zasov: The client certificate opens nothing here/,
  });
  const late = await admins.certify(admins.anna, -1);
  t.match(await ssh(proxyCommand('late', late), 'true'), {
    code: 255,
    stderr: /zasov: The client certificate has expired/,
  });
  const elsewhere = proxyCommand('Anna', annas).replace('%h:%p', '127.0.0.1:1');
  t.match(await ssh(elsewhere, 'true'), {
    code: 255,
    stderr: /127\.0\.0\.1:1 is not one of admin_access\.servers/,
  });
});

await test('a session on the server is cut within a second when its administrator is revoked', async (t) => {
  const running = ssh(proxyCommand('Anna', annas), 'echo begun; sleep 60');
  await eventually(
    async () => (await metricOf(gateway, 'zasov_streams_active', 'kind="tunnel"')) === 1,
    15_000,
  );
  await promisify(execFile)(process.execPath, [
    'gateway/zasov.mjs',
    'admins',
    'revoke',
    'Anna',
    '--data',
    gateway.data,
  ]);
  const revokedMs = performance.now();
  const { code } = await running;
  t.equal(code, 255);
  t.ok(performance.now() - revokedMs < 3000, `${Math.round(performance.now() - revokedMs)} ms`);
});
