import { spawn, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type Test, test } from 'tap';

import { directoryFailure } from '../../gateway/backup/directory-failure.ts';
import { openDirectoryTarget } from '../../gateway/backup/directory-target.ts';
import { systemClock } from '../../gateway/core/clock.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { temporaryDirectory } from '../support/start-gateway.ts';
import { namesOf, pieces, readAll, targetContract } from './target-contract.ts';

const DAY_MS = 86_400_000;
process.setMaxListeners(0);

/** A small file system of the test's own, if this process may mount one. */
function mountSmall(t: Test, options: string): string | undefined {
  const directory = join(temporaryDirectory(), 'disk');
  mkdirSync(directory);
  const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', directory]);
  if (status !== 0) return undefined;
  t.teardown(() => void spawnSync('umount', ['-l', directory]));
  return directory;
}

void test('a directory keeps the contract of targets', async (t) => {
  const directory = temporaryDirectory();
  await targetContract(t, openDirectoryTarget(directory, { clock: systemClock }));
  t.same(
    ['', 'journal', 'drills'].flatMap((folder) =>
      readdirSync(join(directory, folder)).filter((n) => n.startsWith('.')),
    ),
    [],
    'and no temporary file stays behind',
  );
});

void test('an archive is its owner’s to read, and so are the folders', async (t) => {
  const directory = temporaryDirectory();
  await openDirectoryTarget(directory, { clock: systemClock }).put('journal/000000000001-a.age', pieces('x'));
  t.equal(statSync(join(directory, 'journal')).mode & 0o777, 0o700);
  t.equal(statSync(join(directory, 'journal/000000000001-a.age')).mode & 0o777, 0o600);
});

void test('a full disk fails the copy, says so, and leaves what was there', async (t) => {
  const directory = mountSmall(t, 'size=1m');
  if (directory === undefined) {
    // No rights to mount: every write to /dev/full is refused as on a full disk.
    t.match(directoryFailure('/dev', 'write a', writeFull()), { code: 'backup_failed', message: /is full/ });
    return;
  }
  const target = openDirectoryTarget(directory, { clock: systemClock });
  await target.put('zasov-a.age', pieces('good'));
  const large = (async function* () {
    for (let piece = 0; piece < 64; piece += 1) yield randomBytes(65_536);
  })();
  await t.rejects(target.put('zasov-b.age', large), {
    code: 'backup_failed',
    message: /cannot write zasov-b\.age: the disk of .* is full/,
  });
  t.same(readdirSync(directory), ['zasov-a.age'], 'the unfinished copy is gone and its room is free again');
  t.equal((await readAll(target, 'zasov-a.age')).toString(), 'good');
  await target.put('zasov-b.age', pieces('small'));
});

function writeFull(): unknown {
  try {
    writeFileSync('/dev/full', 'x');
    return undefined;
  } catch (error) {
    return error;
  }
}

void test('a disk that became read-only says so', async (t) => {
  const directory = mountSmall(t, 'size=1m,ro');
  if (directory === undefined) {
    // Where nothing may be mounted, the kernel's own file systems take no files either.
    const target = openDirectoryTarget('/proc/self', { clock: systemClock });
    await t.rejects(target.put('zasov-a.age', pieces('x')), { code: 'backup_failed' });
    return;
  }
  const target = openDirectoryTarget(directory, { clock: systemClock });
  await t.rejects(target.put('zasov-a.age', pieces('x')), {
    code: 'backup_failed',
    message: /cannot write zasov-a\.age: .* is mounted read-only/,
  });
  await t.rejects(target.put('journal/000000000001-a.age', pieces('x')), { message: /mounted read-only/ });
});

void test('a directory that is gone fails everything, is not made anew, and works when it is back', async (t) => {
  const directory = join(temporaryDirectory(), 'disk');
  const target = openDirectoryTarget(directory, { clock: systemClock });
  const gone = { code: 'backup_failed', message: /disk is not there: mount the disk/ };
  const calls: (() => Promise<unknown>)[] = [
    () => target.put('zasov-a.age', pieces('x')),
    () => target.put('journal/000000000001-a.age', pieces('x')),
    () => target.list(''),
    () => target.list('journal/'),
    () => target.remove('zasov-a.age'),
    () => target.sweep(0),
    () => target.warnings(),
    () => readAll(target, 'zasov-a.age'),
  ];
  for (const call of calls) await t.rejects(call, gone);
  t.notOk(existsSync(directory));
  mkdirSync(directory);
  await target.put('zasov-a.age', pieces('x'));
  t.same(await namesOf(target), ['zasov-a.age']);
});

void test('a directory that goes away in the middle of a copy fails the copy', async (t) => {
  const directory = temporaryDirectory();
  const target = openDirectoryTarget(directory, { clock: systemClock });
  const body = (async function* () {
    yield Buffer.from('x');
    rmSync(directory, { recursive: true });
    yield Buffer.from('y');
  })();
  await t.rejects(target.put('zasov-a.age', body), { code: 'backup_failed', message: /is not there/ });
});

void test('a byte that changes on its way to the disk fails the copy', async (t) => {
  const directory = temporaryDirectory();
  const target = openDirectoryTarget(directory, { clock: systemClock });
  const body = (async function* () {
    yield Buffer.from('what is written');
    const [partial = ''] = readdirSync(directory);
    const file = join(directory, partial);
    const bytes = readFileSync(file);
    bytes[3] = (bytes[3] ?? 0) ^ 1;
    writeFileSync(file, bytes);
  })();
  await t.rejects(target.put('zasov-a.age', body), {
    code: 'backup_failed',
    message: /reads back .* as something else/,
  });
  t.same(readdirSync(directory), []);
});

void test('of two who write the same name one succeeds, and its bytes stay', async (t) => {
  const directory = temporaryDirectory();
  const target = openDirectoryTarget(directory, { clock: systemClock });
  const bodies = Array.from({ length: 8 }, (_, index) => Buffer.alloc(50_000, index));
  const results = await Promise.allSettled(bodies.map((body) => target.put('zasov-a.age', pieces(body))));
  const winners = results.flatMap(({ status }, index) => (status === 'fulfilled' ? [index] : []));
  t.equal(winners.length, 1);
  t.ok((await readAll(target, 'zasov-a.age')).equals(bodies[winners[0] ?? 0] ?? Buffer.alloc(0)));
  t.same(readdirSync(directory), ['zasov-a.age']);
});

void test('what a killed process left unfinished is swept after a day, what others write is not', async (t) => {
  const directory = temporaryDirectory();
  const clock = new ManualClock(Date.now());
  const target = openDirectoryTarget(directory, { clock });
  const module = JSON.stringify(new URL('../../gateway/backup/directory-target.ts', import.meta.url).href);
  const script = `const { openDirectoryTarget } = await import(${module});
    const body = async function* () { yield Buffer.from('half'); process.kill(process.pid, 'SIGKILL'); yield Buffer.from('x'); };
    await openDirectoryTarget(${JSON.stringify(directory)}, { clock: Date }).put('journal/000000000001-a.age', body());`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script]);
  const [, signal] = (await once(child, 'exit')) as [number | null, string | null];
  t.equal(signal, 'SIGKILL');
  const [partial = ''] = readdirSync(join(directory, 'journal'));
  t.match(partial, /^\.000000000001-a\.age\.\d+-[0-9a-f]{8}\.partial$/);
  t.same(await namesOf(target, 'journal/'), [], 'it is never listed');
  const own = `.zasov-a.age.${process.pid}-00000000.partial`;
  for (const name of [own, '.nobody-knows', '.zasov.partial']) writeFileSync(join(directory, name), '');
  await target.sweep(DAY_MS);
  t.equal(readdirSync(join(directory, 'journal')).length, 1, 'it may yet be of another machine');
  clock.advance(DAY_MS + 1000);
  await target.sweep(DAY_MS);
  t.same(readdirSync(join(directory, 'journal')), []);
  t.same(readdirSync(directory).toSorted(), ['.nobody-knows', own, '.zasov.partial', 'journal'].toSorted());
  utimesSync(join(directory, own), clock.now() / 1000 - 8 * 86_400, clock.now() / 1000 - 8 * 86_400);
  await target.sweep(DAY_MS);
  t.notOk(
    existsSync(join(directory, own)),
    'a number of a process that somebody else has by now saves nothing for ever',
  );
});

void test('a directory on the file system of the data is warned of', async (t) => {
  const data = temporaryDirectory();
  const directory = join(data, 'backups');
  mkdirSync(directory);
  const warnings = await openDirectoryTarget(directory, {
    clock: systemClock,
    dataDirectory: data,
  }).warnings();
  t.match(warnings, [/on the same file system as the data/]);
  t.same(await openDirectoryTarget('/proc', { clock: systemClock, dataDirectory: data }).warnings(), []);
  t.same(await openDirectoryTarget(directory, { clock: systemClock }).warnings(), []);
});

void test('what the operating system says comes as an operator’s next step', (t) => {
  const told = (code: string): string => {
    const error = Object.assign(new Error(code), { code, syscall: 'write' });
    return (directoryFailure('/mnt/x', 'write a', error) as Error).message;
  };
  t.match(told('EDQUOT'), /quota for \/mnt\/x is used up/);
  t.match(told('ESTALE'), /mount it anew/);
  t.match(told('EWHATEVER'), /cannot write a: \/mnt\/x refused: EWHATEVER/);
  t.end();
});
