/** The trail of a node with several processes, each of which may be killed. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import tap, { test } from 'tap';

import { smallCrmPolicy, startSmallCrm } from '../support/small-crm.ts';
import { startGateway } from '../support/start-gateway.ts';
import { clientOf, signIn } from './small-crm-client.ts';
import { patientPolicy, recorded, recordsOf } from './trail-records.ts';
import { clientsOnWorkers, until, workersOf } from './worker-node.ts';

const crm = await startSmallCrm();
tap.teardown(() => crm.close());

await test(
  'with several workers each event is recorded once, and kill -9 of any process breaks nothing',
  { timeout: 120_000 },
  async (t) => {
    let node = await startGateway(
      `workers: 2\n${patientPolicy(smallCrmPolicy(crm.origin)).replace('path: /login }, access', 'path: [/login, "/login/**"] }, access')}`,
    );
    t.teardown(() => node.program.stop());
    const people = await clientsOnWorkers(node);
    for (const [index, client] of people.entries()) await signIn(client, `person-${index}`);
    await recorded(node, 'session.signed_in', people.length);
    for (const client of people) await client.get('/logout');
    await recorded(node, 'session.signed_out', people.length);
    node.command('keys', 'issue', '--account', 'main', '--subject', 'person-0');
    await recorded(node, 'key.issue.done');
    const count = (event: string) => recordsOf(node).filter((record) => record.event === event).length;
    t.equal(count('session.signed_in'), people.length);
    t.equal(count('session.signed_out'), people.length);
    t.equal(count('gateway.started'), 1);
    for (const client of people) client.close();

    for (let round = 0; round < 3; round += 1) {
      const isBusy = { now: true };
      const busy = Array.from({ length: 4 }, async (_, index) => {
        while (isBusy.now) {
          const client = clientOf(node);
          await signIn(client, `busy-${index}`).catch(() => undefined);
          client.close();
        }
      });
      await pause(300);
      const [victim] = await workersOf(node);
      process.kill(victim?.pid ?? 0, 'SIGKILL');
      await until('a new worker', async () =>
        (await workersOf(node)).every(({ pid }) => pid !== victim?.pid),
      );
      await pause(200);
      await node.program.kill();
      isBusy.now = false;
      await Promise.all(busy);
      t.match(node.command('audit', 'verify'), { code: 0 }, 'after kill -9');
      node = await startGateway(readFileSync(join(node.data, 'test-policies.yaml'), 'utf8'), node.data);
      t.match(node.command('audit', 'verify'), { code: 0 }, 'after the next start');
    }
    await node.program.stop();
    const report = JSON.parse(node.command('audit', 'verify', '--json').stdout) as {
      ok: boolean;
      writers: { crashes: number }[];
    };
    t.equal(report.ok, true);
    t.ok(
      report.writers.length <= 5,
      `${report.writers.length} names of writers for all processes that ever were`,
    );
    const crashes = report.writers.reduce((sum, each) => sum + each.crashes, 0);
    t.ok(crashes >= 3, `${crashes} ends without a farewell are told`);
  },
);
