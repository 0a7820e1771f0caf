/** The account page where two workers share Redis and identifiers change while people look at it. */
import { setTimeout as pause } from 'node:timers/promises';
import tap, { test } from 'tap';
import { SESSION_COOKIE } from '../../gateway/session/session.ts';
import { startRedis } from '../support/redis-servers.ts';
import { smallCrmPolicy, startSmallCrm } from '../support/small-crm.ts';
import { startGateway } from '../support/start-gateway.ts';
import { clientOf, signIn, whoAmI } from './small-crm-client.ts';
import { clientsOnWorkers, metric } from './worker-node.ts';

const PAGE = '/.zasov/account';
const ROTATE_MS = 1000;
const redis = await startRedis();
const crm = await startSmallCrm();
const sessions = `  rotate_every: ${ROTATE_MS}ms\n  grace: 500ms\n`;
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

await test('a form shown by one worker works on the other, a key is shown once, and identifiers go on changing', async (t) => {
  const issued = gateway.command('keys', 'issue', '--account', 'main', '--subject', 'olga', '--json');
  let { id } = JSON.parse(issued.stdout) as { id: string };
  const person = clientOf(gateway);
  await signIn(person, 'olga');
  const [one, two] = await clientsOnWorkers(gateway, person.jar);
  if (one === undefined || two === undefined) throw new Error('there are two workers');
  t.teardown(() => {
    for (const client of [person, one, two]) client.close();
  });
  let [postedNew, shownNew] = [0, 0];
  for (let round = 0; round < 4; round += 1) {
    await pause(ROTATE_MS + 100);
    const form = await one.get(PAGE);
    if (form.setCookies.some((cookie) => cookie.startsWith(SESSION_COOKIE))) shownNew += 1;
    const token = /name="token" value="([^"]+)"/.exec(form.text)?.[1] ?? '';
    await one.get(PAGE);
    await pause(ROTATE_MS + 100);
    const posted = await two.post(PAGE, { token, action: 'rotate', id });
    t.equal(posted.status, 303);
    if (posted.setCookies.some((cookie) => cookie.startsWith(SESSION_COOKIE))) postedNew += 1;
    const shown = await one.get(PAGE);
    const key = /zsv_(\w{14})_\w+/.exec(shown.text);
    t.ok(key, 'the other worker shows it');
    t.notMatch((await two.get(PAGE)).text, /zsv_\w{14}_/, 'and nobody shows it again');
    id = key?.[1] ?? '';
  }
  t.ok(postedNew > 0, 'the answer to a form carried a successor');
  t.ok(shownNew > 0, 'the page carried one');
  t.equal(await whoAmI(two), 'olga');
  t.ok((await metric(gateway, 'zasov_session_rotations_total')) >= 4);
  t.equal(await metric(gateway, 'zasov_session_theft_total'), 0);
});
