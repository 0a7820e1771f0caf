/** The target of backups runs full, and the disk of the gateway itself: file systems of a few MB, mounted for it. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import tap, { test } from 'tap';

import { eventually } from '../support/wire.ts';
import { startGateway, temporaryDirectory } from '../support/start-gateway.ts';
import { LostSite, readMetric } from './lost-site.ts';

const MIB = 1024 * 1024;
/** What one archive weighs: noise that nothing makes smaller. */
const DUMP = `{ name: noise, dump: [head, -c, "${2 * MIB}", /dev/urandom], restore: [sh, -c, "cat > /dev/null"] }`;

interface Status {
  readonly failures: number;
  readonly failure: string | null;
}

function mountSmall(place: string, mebibytes: number): boolean {
  mkdirSync(place, { recursive: true });
  const words = ['-t', 'tmpfs', '-o', `size=${mebibytes}m`, 'tmpfs', place];
  if (spawnSync('mount', words).status !== 0) return false;
  tap.teardown(() => spawnSync('umount', ['-l', place]));
  return true;
}

const freeBytes = (place: string): number => {
  const { bavail, bsize } = statfsSync(place);
  return bavail * bsize;
};

/** Takes all room of a file system but so much. */
function fill(place: string, leftBytes = 0): string {
  const ballast = join(place, 'ballast');
  writeFileSync(ballast, '');
  for (let bytes = freeBytes(place) - leftBytes; bytes > 0; bytes = freeBytes(place) - leftBytes)
    writeFileSync(ballast, Buffer.alloc(Math.min(bytes, 4096 * 16)), { flag: 'a' });
  return ballast;
}

const archivesIn = (place: string): string[] => readdirSync(place).filter((name) => name.endsWith('.age'));
const partialsIn = (place: string): string[] =>
  readdirSync(place, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.partial'));

const site = await LostSite.open('embedded');
tap.teardown(() => site.close());
const policyFile = join(site.policies, 'policy.yaml');
const status = (): Status => (JSON.parse(site.zasov('status', '--json').stdout) as { backup: Status }).backup;

const backUp = () => site.zasov('backup', 'now', '--json');
const archiveOf = (made: ReturnType<typeof backUp>): string =>
  (JSON.parse(made.stdout) as { archive: string }).archive;

/** Alarms of a backup that failed: in the metrics, the log and the trail, once the command has come back. */
async function alarms(): Promise<{ counted: number; logged: number; audited: number }> {
  const trail = site.zasov('audit', 'tail', '--lines', '1000', '--event', 'backup.failed').stdout;
  return {
    counted: await site.metric('zasov_backup_failures_total'),
    logged: count(site.program.output.stderr, /"a backup failed; the archives before it are untouched"/g),
    audited: count(trail, /backup\.failed/g),
  };
}

const count = (text: string, pattern: RegExp): number => text.match(pattern)?.length ?? 0;

function configure(keep: number): void {
  const text = readFileSync(policyFile, 'utf8').replace(/\nbackup:[^]*/, '');
  const to = `recipients: ["${site.kit.recipient}"]\n  to: { dir: ${site.target} }`;
  writeFileSync(
    policyFile,
    `${text}\nbackup:\n  at: "03:00"\n  ${to}\n  keep: ${keep}\n  include:\n    - ${DUMP}\n`,
  );
  site.zasov('reload');
}

/** Both administrators let a policy pass that keeps less. */
async function approve(): Promise<void> {
  const { id } = JSON.parse(site.person('Anna', 'propose', 'lower_protection').stdout) as { id: string };
  site.person('Boris', 'approve', id);
  await eventually(() => site.zasov('reload').code === 0, 20_000);
}

const canMount = mountSmall(site.target, 5);
if (!canMount) tap.comment('only root may mount small file systems, where it may: nothing is tested here');
const options = { skip: !canMount };
const revoked = site.issue('petr');

await test(
  'a target that is full fails the archive, alarms at once, and keeps what it has',
  options,
  async (t) => {
    configure(3);
    const first = archiveOf(backUp());
    const before = await alarms();
    // Enough to begin with, and not to end with.
    const ballast = fill(site.target, MIB);
    const freeBefore = freeBytes(site.target);
    const refused = backUp();
    t.equal(refused.code, 1);
    t.match(refused.stderr, /the disk of .* is full: make room there, or keep fewer archives/);
    t.same(archivesIn(site.target), [first]);
    await eventually(() => partialsIn(site.target).length === 0, 5000);
    t.ok(freeBytes(site.target) >= freeBefore - 64 * 1024, 'no half file takes room');
    rmSync(ballast);
    const after = await alarms();
    t.same(after, {
      counted: before.counted + 1,
      logged: before.logged + 1,
      audited: before.audited + 1,
    });
    t.match(status(), { failures: 1, failure: /is full: make room there/ });
    t.match(site.zasov('backup', 'verify'), { code: 0 }, 'the last good one is as it was');
    t.equal(backUp().code, 0, 'with room it is made');
    t.match(status(), { failures: 0, failure: null });
  },
);

await test(
  'fewer archives to keep make room on a target that is full of them, and never the last good one goes',
  options,
  async (t) => {
    const two = archivesIn(site.target).toSorted();
    t.equal(two.length, 2);
    t.ok(freeBytes(site.target) < 2 * MIB, 'a third does not fit');
    configure(1);
    await approve();
    const refused = backUp();
    t.equal(refused.code, 1);
    const [last] = two.slice(-1);
    t.same(archivesIn(site.target), [last], 'the last good one stays while there is no other');
    const made = archiveOf(backUp());
    t.same(archivesIn(site.target), [made]);
  },
);

await test(
  'what the journal cannot write waits, is told, and is written when there is room',
  options,
  async (t) => {
    const ballast = fill(site.target);
    site.revoke(revoked);
    const revokedMs = Date.now();
    await eventually(() => /the journal cannot be written/.test(site.program.output.stderr), 20_000);
    await eventually(async () => (await site.metric('zasov_backup_journal_lag_seconds')) > 2, 20_000);
    await eventually(() => partialsIn(site.target).length === 0, 5000);
    rmSync(ballast);
    await eventually(async () => {
      const lagMs = 1000 * (await site.metric('zasov_backup_journal_lag_seconds'));
      return Date.now() - lagMs > revokedMs;
    }, 20_000);
    const archive = archivesIn(site.target)[0] ?? '';
    const signer = site.kit.signer();
    await site.lose();
    const restored = site.restore(join(site.target, archive), '--signer', signer);
    t.equal(restored.code, 0, restored.stderr);
    t.match(restored.stderr, /the journal is whole/);
    await site.start();
    t.equal(await site.tryKey(revoked), 'key_revoked');
  },
);

await test(
  'a full disk of the gateway itself fails the archive, alarms at once, and the journal goes on whole',
  options,
  async (t) => {
    const data = join(temporaryDirectory(), 'data');
    mountSmall(data, 8);
    const [to, trail] = [temporaryDirectory(), temporaryDirectory()];
    const gateway = await startGateway(
      `regions: [{ id: msk, nodes: ["http://127.0.0.1:9"] }]
routes: [{ name: app, match: { path: "/**" }, access: session }]
sessions: {}
audit: { dir: ${trail} }
backup: { at: "03:00", recipients: [${site.kit.recipient}], to: { dir: ${to} } }
`,
      data,
    );
    t.teardown(() => gateway.program.stop());
    const make = () => gateway.command('backup', 'now', '--json');
    const archive = archiveOf(make());
    const segments = () => readdirSync(join(to, 'journal')).length;
    // With a little room the archive is begun, and its test fails; with none the store takes nothing at all.
    for (const leftBytes of [200_000, 0]) {
      const ballast = fill(data, leftBytes);
      const refused = make();
      t.equal(refused.code, 1);
      t.match(refused.stderr, /disk .*is full/);
      if (leftBytes === 0) {
        const log = () => gateway.program.output.stderr;
        await eventually(() => log().includes('the journal cannot be written'), 20_000);
        const before = segments();
        await new Promise((resolve) => setTimeout(resolve, 3500));
        t.equal(segments(), before, 'what the store cannot put on record is not written again and again');
      }
      rmSync(ballast);
    }
    t.same(archivesIn(to), [archive]);
    t.same(partialsIn(to), []);
    t.same(readdirSync(join(data, 'backup')), [], 'nor is anything left of the test');
    t.equal(await readMetric(gateway.listeners.ops, 'zasov_backup_failures_total'), 2);
    t.equal(count(gateway.program.output.stderr, /"a backup failed;/g), 2);
    const audited = gateway.command('audit', 'tail', '--dir', trail, '--event', 'backup.failed').stdout;
    t.equal(count(audited, /backup\.failed/g), 2);
    t.equal(gateway.command('keys', 'issue', '--account', 'main', '--subject', 'olga').code, 0);
    t.equal(make().code, 0, 'with room it is made');
    const drill = gateway.command(
      'backup',
      'drill',
      join(to, archive),
      '--identity',
      site.identity,
      '--json',
    );
    t.match(drill.stdout, /"journal":\{"whole":true/, drill.stderr);
  },
);
