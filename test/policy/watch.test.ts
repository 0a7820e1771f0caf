import { mkdirSync, renameSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Test, test } from 'tap';
import { watchPolicy } from '../../gateway/policy/watch-policy.ts';

/** Watches, and waits for calls instead of for time. */
function startWatch(t: Test, path: string, pollMs = 60_000) {
  let seen = 0;
  let wake: (() => void) | undefined;
  const stop = watchPolicy(
    path,
    () => {
      seen++;
      wake?.();
    },
    { settleMs: 15, pollMs },
  );
  t.teardown(stop);
  const keepAlive = setInterval(() => {}, 1000);
  t.teardown(() => clearInterval(keepAlive));
  return {
    stop,
    seen: () => seen,
    next: async () => {
      const before = seen;
      await new Promise<void>((resolve) => {
        wake = () => {
          if (seen > before) resolve();
        };
      });
    },
  };
}

await test('a policy file that is written, replaced or taken away is noticed', async (t) => {
  const folder = t.testdir({ 'p.yaml': 'a: 1\n' });
  const file = join(folder, 'p.yaml');
  const watching = startWatch(t, file);
  let change = watching.next();
  writeFileSync(file, 'a: 22\n');
  await change;
  change = watching.next();
  writeFileSync(join(folder, 'p.yaml.new'), 'a: 333\n');
  renameSync(join(folder, 'p.yaml.new'), file);
  await change;
  change = watching.next();
  rmSync(file);
  await change;
  change = watching.next();
  writeFileSync(file, 'a: 4\n');
  await change;
  t.equal(watching.seen(), 4);
});

await test('a directory is watched for its policies only', async (t) => {
  const folder = t.testdir({ 'a.yaml': 'a: 1\n' });
  const watching = startWatch(t, folder);
  const change = watching.next();
  writeFileSync(join(folder, 'notes.txt'), 'x');
  writeFileSync(join(folder, 'a.test.yaml'), 'x');
  writeFileSync(join(folder, '.a.yaml.swp'), 'x');
  writeFileSync(join(folder, 'b.yml'), 'b: 1\n');
  await change;
  t.equal(watching.seen(), 1, 'several changes in a row are one');
});

await test('a directory that is swapped as a whole is noticed, and what comes after', async (t) => {
  const folder = t.testdir({ one: { 'a.yaml': 'a: 1\n' }, two: { 'a.yaml': 'a: 22\n' } });
  const link = join(folder, 'current');
  symlinkSync('one', link);
  const watching = startWatch(t, link, 20);
  let change = watching.next();
  symlinkSync('two', `${link}.new`);
  renameSync(`${link}.new`, link);
  await change;
  change = watching.next();
  writeFileSync(join(folder, 'two', 'b.yaml'), 'b: 1\n');
  await change;
  change = watching.next();
  rmSync(join(folder, 'two'), { recursive: true });
  await change;
  change = watching.next();
  mkdirSync(join(folder, 'two'));
  writeFileSync(join(folder, 'two', 'a.yaml'), 'a: 1\n');
  await change;
  t.ok(watching.seen() >= 4);
});

await test('a path that does not exist yet is watched until it does', async (t) => {
  const folder = t.testdir({});
  const file = join(folder, 'later', 'p.yaml');
  const watching = startWatch(t, file, 20);
  const change = watching.next();
  mkdirSync(join(folder, 'later'));
  writeFileSync(file, 'a: 1\n');
  await change;
  t.ok(watching.seen() >= 1);
});

await test('after stopping nothing is called any more', async (t) => {
  const folder = t.testdir({ 'p.yaml': 'a: 1\n', 'q.yaml': 'a: 1\n' });
  const stopped = startWatch(t, join(folder, 'p.yaml'), 10);
  const other = startWatch(t, join(folder, 'p.yaml'), 10);
  stopped.stop();
  const change = other.next();
  utimesSync(join(folder, 'p.yaml'), 1, 1);
  await change;
  t.equal(stopped.seen(), 0);
});
