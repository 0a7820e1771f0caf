/** Two workers with the sessions in Redis are one gateway too. */
import { setTimeout as pause } from 'node:timers/promises';
import tap, { test } from 'tap';
import { SESSION_COOKIE } from '../../gateway/session/session.ts';
import { CookieJar } from '../support/cookie-jar.ts';
import { startRedis } from '../support/redis-servers.ts';
import { smallCrmPolicy, startSmallCrm } from '../support/small-crm.ts';
import { startGateway } from '../support/start-gateway.ts';
import { clientOf, signIn, whoAmI } from './small-crm-client.ts';
import { clientsOnWorkers, metric, until } from './worker-node.ts';

const redis = await startRedis();
const crm = await startSmallCrm();
const sessions = '  rotate_every: 1s\n  grace: 500ms\n';
const policy = smallCrmPolicy(crm.origin, sessions).replace(
  'path: /login }, access',
  'path: [/login, "/login/**"] }, access',
);
const gateway = await startGateway(`workers: 2\nstore: { kind: redis, url: "${redis.url}" }\n${policy}`);
tap.teardown(async () => {
  await gateway.program.stop();
  await redis.kill();
  await crm.close();
});

await test('a browser on both workers is never signed out while identifiers rotate', async (t) => {
  const first = clientOf(gateway);
  await signIn(first, 'olga');
  const connections = await clientsOnWorkers(gateway, first.jar);
  const untilMs = performance.now() + 4000;
  const users = new Set<string | undefined>();
  while (performance.now() < untilMs) {
    for (const user of await Promise.all(connections.map((each) => whoAmI(each)))) users.add(user);
    await pause(50);
  }
  t.strictSame([...users], ['olga']);
  t.ok((await metric(gateway, 'zasov_session_rotations_total')) >= 2);
  t.equal(await metric(gateway, 'zasov_session_theft_total'), 0);
  for (const client of [first, ...connections]) client.close();
});

await test('a revocation reaches both workers in under a second', async (t) => {
  const person = clientOf(gateway);
  await signIn(person, 'anna');
  const both = await clientsOnWorkers(gateway, CookieJar.copyOf(person.jar));
  for (const client of both) t.equal(await whoAmI(client), 'anna');
  t.match(gateway.command('sessions', 'revoke', '--account', 'main', '--subject', 'anna'), { code: 0 });
  const value = person.jar.get(SESSION_COOKIE) ?? '';
  const endedMs = performance.now();
  for (const client of both) {
    await until('the end', async () => {
      client.jar.set(SESSION_COOKIE, value);
      return (await whoAmI(client)) === undefined;
    });
    client.close();
  }
  t.ok(performance.now() - endedMs < 1000);
  person.close();
});
