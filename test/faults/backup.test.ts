import { execFile } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { generateIdentity, identityToRecipient } from 'age-encryption';
import { test } from 'tap';

import { openDirectoryTarget } from '../../gateway/backup/directory-target.ts';
import { readArchive } from '../../gateway/backup/read-archive.ts';
import { systemClock } from '../../gateway/core/clock.ts';
import { type RunningGateway, startGateway, temporaryDirectory } from '../support/start-gateway.ts';

const POLICY = `regions: [{ id: msk, nodes: ["http://127.0.0.1:9"] }]
routes: [{ name: app, match: { path: "/**" }, access: session }]
sessions: {}
`;
const identity = await generateIdentity();
const recipient = await identityToRecipient(identity);

/** A source that writes a line and then goes on for a minute. */
const SLOW = `include: [{ name: slow, dump: [sh, -c, "echo begin; exec sleep 60"], restore: [cat] }]`;

function backup(to: string, more = '') {
  const rest = more === '' ? '' : `\n  ${more}`;
  return `${POLICY}backup:\n  at: "03:00"\n  recipients: [${recipient}]\n  to: { dir: ${to} }${rest}\n`;
}

// The journal stands beside them, in a folder of its own.
const named = (directory: string) => readdirSync(directory).filter((name) => name.startsWith('zasov-'));
const partial = (directory: string) => readdirSync(directory).filter((name) => name.endsWith('.partial'));

async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 300; tries += 1) {
    if (await isSo()) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`never: ${what}`);
}

/** The backup process of a gateway, by what the system says of its children. */
function workerOf({ program }: RunningGateway): number | undefined {
  const list = readFileSync(`/proc/${program.pid}/task/${program.pid}/children`, 'utf8');
  return list
    .split(' ')
    .filter((pid) => pid !== '')
    .map(Number)
    .find((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('backup-worker'));
}

const isAlive = (pid: number) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

/** Begins a backup whose source is slow, and waits until its process writes. */
async function beginSlow(gateway: RunningGateway, to: string): Promise<number> {
  const { request } = await import('node:http');
  await new Promise<void>((resolve, reject) => {
    const socketPath = join(gateway.data, 'control.sock');
    const call = request({ socketPath, method: 'POST', path: '/v1/backup' }, (answer) => {
      answer.resume().on('end', resolve);
    });
    call.on('error', reject).end();
  });
  await until('a copy is under way', () => partial(to).length === 1);
  return workerOf(gateway) ?? 0;
}

await test('a backup is made, listed, read back and opened by the identity alone', async (t) => {
  const to = temporaryDirectory();
  const include = `include: [{ name: db, dump: [printf, "the dump"], restore: [cat] }]`;
  const gateway = await startGateway(backup(to, include));
  t.teardown(() => gateway.program.stop());
  const made = gateway.command('backup', 'now', '--json');
  t.equal(made.code, 0, made.stderr);
  const { archive, bytes, sha256 } = JSON.parse(made.stdout) as Record<string, string | number>;
  t.match(archive, /^zasov-\d{8}T\d{6}Z-fleet-[a-z2-7]{8}\.age$/);
  t.match(JSON.parse(gateway.command('backup', 'list', '--json').stdout), [
    { archive, bytes, signed: 'ours' },
  ]);
  t.equal(gateway.command('backup', 'verify').code, 0);
  const signer = gateway.command('backup', 'signer').stdout.trim();
  const target = openDirectoryTarget(to, { clock: systemClock });
  const paths: string[] = [];
  let dump = '';
  await readArchive(
    target.read(String(archive)),
    { identities: [identity], signer },
    async ({ path, body }) => {
      paths.push(path);
      for await (const chunk of body) if (path.startsWith('include/')) dump += String(chunk);
    },
  );
  t.equal(dump, 'the dump');
  t.ok(paths.includes('policies/test-policies.yaml') && paths.includes('secrets/master.key'));
  const status = JSON.parse(gateway.command('status', '--json').stdout) as { backup: unknown };
  t.match(status.backup, { last: { archive, sha256 }, failures: 0, failure: null, signer });
  const metrics = await (await fetch(`${gateway.listeners.ops}/metrics`)).text();
  t.match(metrics, new RegExp(`^zasov_backup_bytes ${bytes}$`, 'm'));
  writeFileSync(join(to, String(archive)), 'something else');
  t.equal(gateway.command('backup', 'verify').code, 1, 'what was changed is not good');
});

await test('who asks for a backup while one is under way gets the next one, with what has changed since', async (t) => {
  const to = temporaryDirectory();
  const gateway = await startGateway(backup(to));
  t.teardown(() => gateway.program.stop());
  const words = ['gateway/zasov.mjs', 'backup', 'now', '--json', '--data', gateway.data];
  const made = await Promise.all(
    [1, 2, 3].map(async () => {
      const { stdout } = await promisify(execFile)(process.execPath, words);
      return (JSON.parse(stdout) as { archive: string }).archive;
    }),
  );
  t.equal(new Set(made).size, 3);
  t.ok(made.every((archive) => named(to).includes(archive)));
});

await test('a backup process that is killed alarms at once and leaves the archives before it alone', async (t) => {
  const to = temporaryDirectory();
  const gateway = await startGateway(backup(to));
  t.teardown(() => gateway.program.stop());
  t.equal(gateway.command('backup', 'now').code, 0);
  const before = named(to);
  writeFileSync(
    join(gateway.data, 'test-policies.yaml'),
    readFileSync(join(gateway.data, 'test-policies.yaml'), 'utf8') + `  ${SLOW}\n`,
  );
  t.equal(gateway.command('reload').code, 0);
  const worker = await beginSlow(gateway, to);
  process.kill(worker, 'SIGKILL');
  await until('an alarm', async () =>
    /zasov_backup_failures_total\{reason="backup_failed"\} 1/.test(
      await (await fetch(`${gateway.listeners.ops}/metrics`)).text(),
    ),
  );
  await until('a line in the log', () =>
    /a backup failed; the archives before it are untouched/.test(gateway.program.output.stderr),
  );
  t.match(gateway.command('audit', 'tail').stdout, /backup\.failed/);
  t.same(named(to), before);
  t.equal(gateway.command('backup', 'verify').code, 0);
});

await test('a gateway that is killed leaves no backup process and nothing half written; the next one makes it', async (t) => {
  const to = temporaryDirectory();
  const first = await startGateway(backup(to, SLOW));
  const worker = await beginSlow(first, to);
  process.kill(first.program.pid, 'SIGKILL');
  await until('the process is gone', () => !isAlive(worker));
  t.same(named(to).concat(partial(to)), []);
  const next = await startGateway(backup(to), first.data);
  t.teardown(() => next.program.stop());
  t.equal(next.command('backup', 'now').code, 0);
  t.equal(named(to).length, 2, 'the archive and its note');
});

await test('a gateway that is stopped gives up its backup and is gone soon', async (t) => {
  const to = temporaryDirectory();
  const gateway = await startGateway(backup(to, SLOW));
  const worker = await beginSlow(gateway, to);
  t.equal(await gateway.program.stop(15_000), 0);
  t.equal(isAlive(worker), false);
  t.same(named(to).concat(partial(to)), []);
});

await test('a backup section that is taken out ends what is under way and makes nothing more', async (t) => {
  const to = temporaryDirectory();
  const gateway = await startGateway(backup(to, SLOW));
  t.teardown(() => gateway.program.stop());
  await beginSlow(gateway, to);
  const file = join(gateway.data, 'test-policies.yaml');
  writeFileSync(file, readFileSync(file, 'utf8').replace(/^backup:[^]*/m, ''));
  t.equal(gateway.command('reload').code, 0);
  await until('it is given up', () => partial(to).length === 0);
  await until('a line in the log', () => /no backups are made any more/.test(gateway.program.output.stderr));
  const refused = gateway.command('backup', 'now');
  t.equal(refused.code, 1);
  t.match(refused.stderr, /ask for no backups/);
});

await test('a target that is gone is said, and caught up with when it is back', async (t) => {
  const to = join(temporaryDirectory(), 'disk');
  const gateway = await startGateway(backup(to));
  t.teardown(() => gateway.program.stop());
  const refused = gateway.command('backup', 'now');
  t.equal(refused.code, 1);
  t.match(refused.stderr, /is not there: mount the disk/);
  const { mkdirSync } = await import('node:fs');
  mkdirSync(to);
  t.equal(gateway.command('backup', 'now').code, 0);
  t.equal(named(to).length, 2);
});
