/** A restore that is killed or runs out of disk leaves nothing or all of it, and the next one succeeds. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import tap, { test } from 'tap';

import { temporaryDirectory } from '../support/start-gateway.ts';
import { LostSite } from './lost-site.ts';

const KILLS = 8;

/** Starts a restore and kills it after a while. @returns whether it had ended by itself. */
async function killedAfter(site: LostSite, archive: string, ms: number): Promise<boolean> {
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
  const child = spawn(process.execPath, ['gateway/zasov.mjs', ...words], { stdio: 'ignore' });
  const ended = once(child, 'exit');
  const isEnded = await Promise.race([ended.then(() => true), pause(ms, false)]);
  child.kill('SIGKILL');
  await ended;
  return isEnded;
}

for (const store of ['embedded', 'redis'] as const)
  await test(`kill -9 in the middle of a restore with the ${store} store leaves nothing or all of it`, async (t) => {
    const site = await LostSite.open(store);
    const key = site.issue('olga');
    const archive = await site.kit.archive();
    await site.lose();
    const beganMs = performance.now();
    t.equal(await killedAfter(site, archive, 60_000), true);
    const wholeMs = performance.now() - beganMs;
    await site.start();
    await site.lose();
    for (let kill = 1; kill <= KILLS; kill += 1) {
      // Reading comes first; what is interesting happens in the second half.
      const atMs = wholeMs * (0.4 + (0.6 * kill) / KILLS);
      const isEnded = await killedAfter(site, archive, atMs);
      if (isEnded || !existsSync(site.data)) continue;
      const served = site.zasov('serve', '--policies', join(site.kept, 'nowhere'));
      t.notMatch(served.stderr, /started/);
      t.match(site.restore(archive), { code: 0 }, 'what was interrupted is done by the same command');
      await site.start();
      t.equal(await site.tryKey(key), 'ok');
      await site.lose();
    }
    const restored = site.restore(archive);
    t.equal(restored.code, 0, restored.stderr);
    await site.start();
    t.equal(await site.tryKey(key), 'ok');
    t.match(site.zasov('audit', 'verify'), { code: 0 });
    await site.close();
  });

await test('a disk that is full while it is restored says so, and nothing stays on it', async (t) => {
  const place = temporaryDirectory();
  const isMounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=160k', 'tmpfs', place]).status === 0;
  if (!isMounted) return void t.skip('needs root and a kernel that mounts');
  tap.teardown(() => spawnSync('umount', ['-l', place]));
  const site = await LostSite.open('embedded');
  const key = site.issue('olga');
  const archive = await site.kit.archive();
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
