/**
 * A disk that is full, read-only or stands still: operations on keys are refused, nothing else notices. Real file
 * systems are mounted for it, which needs root.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import tap, { test } from 'tap';

import { smallCrmPolicy, startSmallCrm } from '../support/small-crm.ts';
import { type RunningGateway, startGateway, temporaryDirectory } from '../support/start-gateway.ts';
import { clientOf, signIn, whoAmI } from './small-crm-client.ts';
import { control, metric, until } from './worker-node.ts';

const crm = await startSmallCrm();
const undo: (() => void)[] = [];
/** Also when the test is ended from outside: a frozen file system would hold up whoever touches it. */
process.once('exit', () =>
  undo
    .splice(0)
    .toReversed()
    .forEach((each) => each()),
);
tap.teardown(() => crm.close());

function run(command: string, ...parameters: string[]): void {
  const { status, stderr } = spawnSync(command, parameters, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${parameters.join(' ')}: ${stderr}`);
}

async function startOn(directory: string): Promise<RunningGateway> {
  const policy = smallCrmPolicy(crm.origin);
  return await startGateway(`${policy}audit: { dir: ${JSON.stringify(directory)} }\n`);
}

/** Root alone is not enough in every container. */
function mayMount(): boolean {
  const place = temporaryDirectory();
  const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', place]);
  if (status === 0) spawnSync('umount', ['-l', place]);
  return status === 0;
}

/** What the control socket says to a new key; the test's own process goes on meanwhile, and the CRM in it. */
async function issue(on: RunningGateway): Promise<{ code?: string; id?: string }> {
  const body = JSON.stringify({ account: 'main', subject: 'olga' });
  return (await control(on, 'POST', '/v1/keys', body)) as { code?: string; id?: string };
}

const canMount = mayMount();
const keysOf = async (on: RunningGateway) => ((await control(on, 'GET', '/v1/keys')) as unknown[]).length;

void test('a full disk refuses operations on keys and nothing else', { skip: !canMount }, async (t) => {
  const directory = join(temporaryDirectory(), 'small');
  mkdirSync(directory);
  run('mount', '-t', 'tmpfs', '-o', 'size=128k', 'tmpfs', directory);
  undo.push(() => spawnSync('umount', ['-l', directory]));
  const gateway = await startOn(directory);
  t.teardown(() => gateway.program.stop());
  t.ok((await issue(gateway)).id);
  const before = await keysOf(gateway);
  const ballast = join(directory, 'ballast');
  writeFileSync(ballast, '');
  for (let bytes = 128 * 1024; bytes >= 512; bytes = Math.floor(bytes / 2)) {
    try {
      writeFileSync(ballast, Buffer.alloc(bytes), { flag: 'a' });
    } catch {
      // Full, as it should be; the next piece is smaller.
    }
  }
  // What is left of the last page of the trail's own file is used up.
  let refused: { code?: string; id?: string } = {};
  let made = 0;
  for (let tries = 0; tries < 50 && refused.code === undefined; tries += 1) {
    refused = await issue(gateway);
    if (refused.id !== undefined) made += 1;
  }
  t.equal(refused.code, 'audit_unavailable');
  t.equal(await keysOf(gateway), before + made, 'no key was made without its record');
  const client = clientOf(gateway);
  await signIn(client, 'olga');
  t.equal(await whoAmI(client), 'olga', 'people sign in and work');
  client.close();
  await until('a metric that says so', async () => (await metric(gateway, 'zasov_audit_failures_total')) > 0);
  t.match(gateway.program.output.stderr, /"level":"error".*the audit trail cannot be written/);
  rmSync(ballast);
  await until('a key is made again', async () => (await issue(gateway)).id !== undefined);
  t.equal(await gateway.program.stop(), 0);
  t.match(gateway.program.output.stderr, /the audit trail is written again/);
  const report = gateway.command('audit', 'verify', '--json');
  t.match(report, { code: 0, stdout: /"ok":true.*"crashes":0/ }, report.stdout);
  const tail = gateway.command(
    'audit',
    'tail',
    '--dir',
    directory,
    '--lines',
    '1000',
    '--event',
    'session.signed_in',
  );
  t.match(tail.stdout, /session\.signed_in/, 'what people did meanwhile is on record after all');
});

void test(
  'a disk that became read-only refuses operations on keys and nothing else',
  { skip: !canMount },
  async (t) => {
    const directory = join(temporaryDirectory(), 'small');
    mkdirSync(directory);
    run('mount', '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', directory);
    undo.push(() => spawnSync('umount', ['-l', directory]));
    run('mount', '-o', 'remount,ro', directory);
    const gateway = await startOn(directory);
    t.teardown(() => gateway.program.stop());
    t.equal((await issue(gateway)).code, 'audit_unavailable', 'from the start on');
    t.equal(await keysOf(gateway), 0);
    const client = clientOf(gateway);
    await signIn(client, 'olga');
    t.equal(await whoAmI(client), 'olga');
    client.close();
    run('mount', '-o', 'remount,rw', directory);
    await until('a key is made', async () => (await issue(gateway)).id !== undefined);
    t.equal(await gateway.program.stop(), 0);
    t.match(gateway.command('audit', 'verify', '--dir', directory), { code: 0 });
  },
);

void test('a disk that stands still delays nobody', { skip: !canMount, timeout: 100_000 }, async (t) => {
  const home = temporaryDirectory();
  const [image, directory] = [join(home, 'image'), join(home, 'disk')];
  writeFileSync(image, '');
  truncateSync(image, 16 * 1024 * 1024);
  mkdirSync(directory);
  run('mkfs.ext4', '-q', '-F', image);
  const mounted = spawnSync('mount', ['-o', 'loop', image, directory], { encoding: 'utf8' });
  if (mounted.status !== 0) {
    t.comment(`no loop device: ${mounted.stderr}`);
    return;
  }
  undo.push(() => spawnSync('umount', ['-l', directory]));
  const gateway = await startOn(directory);
  t.teardown(() => gateway.program.stop());
  t.ok((await issue(gateway)).id);
  const client = clientOf(gateway);
  await signIn(client, 'olga');
  const worst = async (requests: number): Promise<number> => {
    const times: number[] = [];
    for (let count = 0; count < requests; count += 1) {
      const startMs = performance.now();
      await whoAmI(client);
      const other = clientOf(gateway);
      await signIn(other, 'boris');
      other.close();
      times.push(performance.now() - startMs);
    }
    return Math.max(...times);
  };
  await worst(20);
  run('fsfreeze', '-f', directory);
  undo.push(() => spawnSync('fsfreeze', ['-u', directory]));
  const refusing = issue(gateway);
  const slowestMs = await worst(40);
  // One that waited for the disk would wait for as long as the disk stands still.
  t.ok(slowestMs < 2500, `the slowest of requests and sign-ins took ${Math.round(slowestMs)} ms`);
  t.equal((await refusing).code, 'audit_unavailable', 'an operation on a key is refused after a moment');
  t.equal(await keysOf(gateway), 1);
  run('fsfreeze', '-u', directory);
  undo.pop();
  await until('a key is made again', async () => (await issue(gateway)).id !== undefined);
  client.close();
  t.equal(await gateway.program.stop(), 0);
  t.match(gateway.command('audit', 'verify', '--dir', directory), { code: 0 });
  const { stdout } = gateway.command('audit', 'tail', '--dir', directory, '--lines', '1000');
  t.match(stdout, /trail\.withdrawn +record=\d+/, 'the record that came too late is taken back');
});
