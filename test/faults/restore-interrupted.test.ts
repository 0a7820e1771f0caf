/** A restore that is killed or runs out of disk leaves nothing or all of it, and the next one succeeds. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import tap, { test } from 'tap';

import { temporaryDirectory } from '../support/start-gateway.ts';
import { LostSite } from './lost-site.ts';

/** What a restore tells before each of its parts: where it is killed. */
const STEPS = ['target', 'state', 'admins', 'audit', 'secrets', 'publish', 'store', 'done'];

/** Starts a restore and signals it as soon as it tells of a step. @returns its exit code. */
async function endedAt(
  site: LostSite,
  archive: string,
  step: string,
  signal: NodeJS.Signals,
): Promise<number | null> {
  const words = [
    'restore',
    archive,
    '--identity',
    site.identity,
    '--policies',
    site.policies,
    '--data',
    site.data,
  ];
  const child = spawn(process.execPath, ['gateway/zasov.mjs', ...words, '--json'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const ended = once(child, 'exit') as Promise<[number | null]>;
  let told = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    told += text;
    if (told.includes(`"step":"${step}"`)) child.kill(signal);
  });
  const [code] = await ended;
  return code;
}

for (const store of ['embedded', 'redis'] as const)
  await test(`kill -9 in the middle of a restore with the ${store} store leaves nothing or all of it`, async (t) => {
    const site = await LostSite.open(store);
    const key = site.issue('olga');
    const archive = await site.kit.archive();
    await site.kit.journal();
    await site.lose();
    for (const [signal, code] of [
      ['SIGINT', 130],
      ['SIGTERM', 143],
    ] as const) {
      t.equal(await endedAt(site, archive, 'state', signal), code, `${signal} ends it in an orderly way`);
      t.equal(whatIsThere(site), 'empty');
      t.notOk(existsSync(`${site.data}.restore`), 'what was made ready is gone at once');
    }
    for (const step of STEPS) {
      await endedAt(site, archive, step, 'SIGKILL');
      const outcome = whatIsThere(site);
      t.comment(step, outcome);
      if (outcome === 'complete') {
        await site.start();
        t.equal(await site.tryKey(key), 'ok', `${step}: all of it is there`);
        await site.lose();
      } else if (outcome === 'unfinished')
        t.match(site.zasov('serve', '--policies', site.policies), {
          code: 1,
          stderr: /restore into .* was interrupted/,
        });
    }
    const again = site.restore(archive);
    if (whatIsThere(site) !== 'complete') t.equal(again.code, 0, again.stderr);
    await site.start();
    t.equal(await site.tryKey(key), 'ok', 'the same command does the rest');
    await site.close();
  });

function whatIsThere({ data }: LostSite): 'empty' | 'unfinished' | 'complete' {
  if (!existsSync(data)) return 'empty';
  return existsSync(join(data, 'restore.unfinished')) ? 'unfinished' : 'complete';
}

await test('a disk that is full while it is restored says so, and nothing stays on it', async (t) => {
  const place = temporaryDirectory();
  const isMounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=160k', 'tmpfs', place]).status === 0;
  if (!isMounted) return void t.pass('needs root and a kernel that mounts', { skip: true });
  tap.teardown(() => spawnSync('umount', ['-l', place]));
  const site = await LostSite.open('embedded');
  const key = site.issue('olga');
  const archive = await site.kit.archive();
  await site.kit.journal();
  await site.lose();
  const roomy = site.data;
  site.data = join(place, 'data');
  mkdirSync(dirname(site.data), { recursive: true });
  const full = site.restore(archive);
  t.equal(full.code, 1);
  t.match(full.stderr, /ENOSPC|no space|full/i);
  t.ok(await site.isEmpty(), 'nothing stays');
  site.data = roomy;
  t.match(site.restore(archive), { code: 0 });
  await site.start();
  t.equal(await site.tryKey(key), 'ok');
  await site.close();
});
