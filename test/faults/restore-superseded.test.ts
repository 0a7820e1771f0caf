/** A gateway that still runs when the state under it is restored lets nobody in on what it remembers. */
import { copyFileSync, existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

import { test } from 'tap';

import { workersOf } from '../end-to-end/worker-node.ts';
import { startProgram } from '../support/child-program.ts';
import { temporaryDirectory } from '../support/start-gateway.ts';
import { eventually } from '../support/wire.ts';
import { LostSite } from './lost-site.ts';

await test('a gateway with workers that shares the store stops by itself when another machine restores it', async (t) => {
  const site = await LostSite.open('redis', 'workers: 2\n');
  const data = join(temporaryDirectory(), 'data');
  mkdirSync(data, { mode: 0o700 });
  copyFileSync(join(site.data, 'master.key'), join(data, 'master.key'));
  const words = ['gateway/zasov.mjs', 'serve', '--policies', site.policies, '--data', data];
  const other = startProgram(process.execPath, words);
  t.teardown(() => other.kill());
  await other.line(/"event":\s*"ready"/, 20_000);
  const workers = await workersOf({ data } as never);
  t.equal(workers.length, 2);
  const [kept, revoked] = [site.issue('olga'), site.issue('petr')];
  const archive = await site.kit.archive();
  const proposed = site.person('Anna', 'propose', 'restore', archive);
  t.equal(proposed.code, 0, proposed.stderr);
  const { id } = JSON.parse(proposed.stdout) as { id: string };
  t.match(site.person('Boris', 'approve', id), { code: 0 });
  await eventually(() => site.proposalState(id) === 'done', 20_000);
  site.revoke(revoked);
  await site.kit.journal();
  await site.program.stop();

  const restored = site.restore(archive);
  t.equal(restored.code, 0, restored.stderr);
  t.equal(await Promise.race([other.ended, pause(5000, 'still there', { ref: false })]), 1);
  t.match(other.output.stderr, /was restored from a backup.*stops serving: start the gateway again/);
  t.notOk(
    workers.some(({ pid }) => existsSync(`/proc/${pid}`)),
    'and its workers are gone',
  );
  await site.start();
  t.equal(await site.tryKey(kept), 'ok');
  t.equal(await site.tryKey(revoked), 'key_revoked');
  await site.close();
});
