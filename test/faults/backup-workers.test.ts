/** A gateway of several processes makes one backup, and a worker that is killed does it no harm. */
import { rmSync, writeFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

import tap, { test } from 'tap';

import { clientOf, signIn } from '../end-to-end/small-crm-client.ts';
import { workersOf } from '../end-to-end/worker-node.ts';
import { eventually } from '../support/wire.ts';
import { BackedUp } from './backed-up.ts';

const site = await BackedUp.open('embedded', 'workers: 2\n');
const node = await site.start('node');
tap.teardown(() => node.program.kill());

const fleet = () => site.archives('fleet').length;

await test('a gateway with workers makes one archive when one is due, and one more when it is asked', async (t) => {
  await eventually(() => fleet() === 1, 15_000);
  await pause(6000);
  t.equal(fleet(), 1, 'the supervisor makes it, and no worker');
  t.match(site.zasov(node.data, 'backup', 'now'), { code: 0 });
  t.equal(fleet(), 2);
  t.same(site.archives('node'), []);
  t.same(site.halves(), []);
});

await test('a worker that is killed while an archive is made harms neither it nor the journal', async (t) => {
  const [olga, petr] = ['olga', 'petr'].map((name) => site.key(node, 'issue', name));
  const [rita] = [site.key(node, 'issue', 'rita')];
  if (olga === undefined || petr === undefined || rita === undefined) throw new Error('no keys');
  writeFileSync(site.brake, '');
  const asked = site.begin(node, 'backup', 'now');
  await eventually(async () => (await site.running(node)) === 'fleet', 8000);
  const [worker] = await workersOf({ data: node.data } as never);
  process.kill(worker?.pid ?? 0, 'SIGKILL');
  await eventually(
    async () => {
      const workers = await workersOf({ data: node.data } as never);
      return workers.length === 2 && !workers.some(({ pid }) => pid === worker?.pid);
    },
    10_000,
    () => 'another worker',
  );
  // In a worker, by the CRM's own change of a password.
  const client = clientOf(node as never);
  await signIn(client, 'olga');
  t.equal((await client.post('/password', { new_password: 'another one' })).status, 200);
  client.close();
  site.key(node, 'revoke', petr.id);
  await site.journaled(node);
  rmSync(site.brake);
  t.equal(await asked, 0);
  t.equal(fleet(), 3);
  t.same(site.halves(), []);
  t.match(site.zasov(node.data, 'backup', 'verify'), { code: 0 });

  const [first = ''] = site.archives('fleet');
  const keys = { olga, petr, rita };
  const expected = { olga: 'key_rotated', petr: 'key_revoked', rita: 'ok' };
  t.same(await site.tryKeys(node, keys), expected);
  await site.lose(node);
  const restored = site.restore(first, 'again');
  t.equal(restored.code, 0, restored.stderr);
  t.match(restored.stderr, /the journal is whole/);
  const again = await site.start('again');
  tap.teardown(() => again.program.kill());
  t.same(await site.tryKeys(again, keys), expected);
  t.equal((await workersOf({ data: again.data } as never)).length, 2);
});
