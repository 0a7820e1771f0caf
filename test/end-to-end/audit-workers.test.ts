/** The trail of a node with several processes, each of which may be killed. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import tap, { test } from 'tap';

import { createMasterKey } from '../../gateway/crypto/keyring.ts';
import { CookieJar } from '../support/cookie-jar.ts';
import { startRedis } from '../support/redis-servers.ts';
import { smallCrmPolicy, startSmallCrm } from '../support/small-crm.ts';
import { startGateway, temporaryDirectory } from '../support/start-gateway.ts';
import { clientOf, signIn, whoAmI } from './small-crm-client.ts';
import { recorded, recordsIn, recordsOf } from './trail-records.ts';
import { clientsOnWorkers, until, workersOf } from './worker-node.ts';

const crm = await startSmallCrm();
tap.teardown(() => crm.close());

await test(
  'with several workers each event is recorded once, and kill -9 of any process breaks nothing',
  { timeout: 120_000 },
  async (t) => {
    let node = await startGateway(
      `workers: 2\n${smallCrmPolicy(crm.origin).replace('path: /login }, access', 'path: [/login, "/login/**"] }, access')}`,
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

await test(
  'two nodes of two workers with one store and one directory record each event once, and verify together',
  { timeout: 120_000 },
  async (t) => {
    const redis = await startRedis();
    t.teardown(() => redis.kill());
    const directory = join(temporaryDirectory(), 'trail');
    const master = join(temporaryDirectory(), 'master.key');
    writeFileSync(master, createMasterKey());
    const policy = `${smallCrmPolicy(crm.origin)}workers: 2
store: { kind: redis, url: "${redis.url}" }
secrets: { master_key: "file:${master}" }
audit: { dir: "${directory}" }
`;
    const nodes = [await startGateway(policy), await startGateway(policy)] as const;
    for (const node of nodes) t.teardown(() => node.program.stop());
    const [first, second] = nodes;
    const count = (event: string) => recordsIn(directory).filter((record) => record.event === event).length;

    const there = clientOf(first);
    await signIn(there, 'olga');
    const here = clientOf(second, CookieJar.copyOf(there.jar));
    t.equal(await whoAmI(here), 'olga');
    // The answer's successor belongs to both: nobody is a thief here.
    t.equal(await whoAmI(there), 'olga');
    t.match(second.command('sessions', 'revoke', '--account', 'main', '--subject', 'olga'), { code: 0 });
    await until(
      'the end on both',
      async () => (await whoAmI(here)) === undefined && (await whoAmI(there)) === undefined,
    );

    const other = clientOf(second);
    await signIn(other, 'boris');
    const otherThere = clientOf(first, CookieJar.copyOf(other.jar));
    t.equal(await whoAmI(otherThere), 'boris');
    await other.get('/logout');
    await until('the sign-out on both', async () => (await whoAmI(otherThere)) === undefined);
    for (const client of [there, here, other, otherThere]) client.close();
    for (const node of nodes) await node.program.stop();
    t.equal(count('session.signed_in'), 2);
    t.equal(count('session.signed_out'), 1);
    t.equal(count('session.ended'), 1);
    t.equal(count('operator.sessions_revoked'), 1);
    t.equal(count('gateway.started'), 2);

    const words = ['audit', 'verify', '--dir', directory, '--master-key', `file:${master}`, '--json'];
    const verified = first.command(...words, '--data', second.data);
    t.match(verified, { code: 0, stdout: /"ok":true/ }, verified.stdout);
    t.match(
      first.command(...words),
      { code: 1, stdout: /"kind":"missing"/ },
      'one node cannot vouch for the end of another',
    );
  },
);
