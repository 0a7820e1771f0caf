/** A worker that is killed under load takes its requests under way with it and nothing else. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import tap, { test } from 'tap';
import { SESSION_COOKIE } from '../../gateway/session/session.ts';
import { CookieJar } from '../support/cookie-jar.ts';
import type { HttpsClient } from '../support/https-client.ts';
import { smallCrmPolicy, startSmallCrm } from '../support/small-crm.ts';
import { startGateway } from '../support/start-gateway.ts';
import { clientOf, signIn, whoAmI } from './small-crm-client.ts';
import { clientsOnWorkers, control, metric, until, workersOf } from './worker-node.ts';

const crm = await startSmallCrm();
const login = smallCrmPolicy(crm.origin).replace(
  'path: /login }, access',
  'path: [/login, "/login/**"] }, access',
);
const gateway = await startGateway(`workers: 2\n${login}`);
tap.teardown(async () => {
  await gateway.program.stop();
  await crm.close();
});

/** Asks over one connection until told to stop. @returns what was answered, and what broke. */
async function load(client: HttpsClient, isOver: () => boolean) {
  const answers = new Map<string | undefined, number>();
  let broken = 0;
  while (!isOver()) {
    try {
      const user = await whoAmI(client);
      answers.set(user, (answers.get(user) ?? 0) + 1);
    } catch {
      broken += 1;
    }
  }
  return { answers, broken };
}

async function pids(): Promise<number[]> {
  return (await workersOf(gateway)).map(({ pid }) => pid);
}

await test('kill -9 of a worker under load loses only its requests under way; another takes its place', async (t) => {
  const first = clientOf(gateway);
  await signIn(first, 'olga');
  const [victim = 0, survivor = 0] = await pids();
  const groups: HttpsClient[][] = [[], []];
  for (let round = 0; round < 3; round += 1) {
    const pair = await clientsOnWorkers(gateway, CookieJar.copyOf(first.jar));
    for (const [index, client] of pair.entries()) groups[index]?.push(client);
  }
  let isOver = false;
  const running = groups.map((group) => Promise.all(group.map((client) => load(client, () => isOver))));
  await pause(300);
  const counted = await metric(gateway, 'zasov_requests_total');
  process.kill(victim, 'SIGKILL');
  const killedMs = performance.now();
  await pause(50);
  const afterwards = await metric(gateway, 'zasov_requests_total');
  await until('a new worker', async () => {
    const now = await pids();
    return now.length === 2 && !now.includes(victim);
  });
  t.comment(`another worker took connections after ${Math.round(performance.now() - killedMs)} ms`);
  t.ok((await pids()).includes(survivor), 'the other worker is the same process');
  await pause(300);
  isOver = true;
  const [onVictim = [], onSurvivor = []] = await Promise.all(running);
  for (const { answers, broken } of onSurvivor) {
    t.equal(broken, 0, 'the other worker’s clients notice nothing');
    t.strictSame([...answers.keys()], ['olga']);
  }
  for (const { answers, broken } of onVictim) {
    t.ok(broken <= 2, `${broken} requests of a connection to the killed worker were lost`);
    t.strictSame([...answers.keys()], ['olga'], 'nobody is signed out');
  }
  t.ok(afterwards >= counted, `no counter goes backwards: ${counted}, ${afterwards}`);
  t.ok((await metric(gateway, 'zasov_requests_total')) > afterwards);
  t.equal(await metric(gateway, 'zasov_worker_restarts_total'), 1);
  for (const client of [first, ...groups.flat()]) client.close();
});

await test('the new worker serves the same sessions, and what ends on it ends everywhere', async (t) => {
  const person = clientOf(gateway);
  await signIn(person, 'vera');
  const [victim = 0] = await pids();
  process.kill(victim, 'SIGKILL');
  await until('a new worker', async () => (await pids()).length === 2 && !(await pids()).includes(victim));
  const both = await clientsOnWorkers(gateway, CookieJar.copyOf(person.jar));
  for (const client of both) t.equal(await whoAmI(client), 'vera');
  t.match(gateway.command('sessions', 'revoke', '--account', 'main', '--subject', 'vera'), { code: 0 });
  for (const client of both) {
    client.jar.set(SESSION_COOKIE, person.jar.get(SESSION_COOKIE) ?? '');
    t.equal(await whoAmI(client), undefined);
    client.close();
  }
  person.close();
});

await test('workers that start in the middle of reloads serve the last set, like all others', async (t) => {
  const file = join(gateway.data, 'test-policies.yaml');
  const good = readFileSync(file, 'utf8');
  const shut = good.replace(
    'routes:\n',
    'routes:\n  - { name: shut, match: { path: /login/x }, access: deny }\n',
  );
  const [victim = 0] = await pids();
  process.kill(victim, 'SIGKILL');
  // A reload every few milliseconds, so that some fall into each moment of the new worker's start.
  for (let round = 0; round < 60; round += 1) {
    writeFileSync(file, round % 2 === 0 ? shut : good);
    await control(gateway, 'POST', '/v1/reload');
  }
  writeFileSync(file, shut);
  await control(gateway, 'POST', '/v1/reload');
  await until('a new worker', async () => (await pids()).length === 2);
  for (const client of await clientsOnWorkers(gateway)) {
    t.equal((await client.get('/login/x')).status, 403);
    client.close();
  }
  writeFileSync(file, good);
  t.match(await control(gateway, 'POST', '/v1/reload'), { ok: true });
  for (const client of await clientsOnWorkers(gateway)) {
    t.equal((await client.get('/login/x')).status, 200);
    client.close();
  }
});

await test('a worker that starts while a bad set of policies waits serves the set in force', async (t) => {
  writeFileSync(join(gateway.data, 'test-policies.yaml'), 'nonsense: true\n');
  t.equal(gateway.command('reload').code, 1);
  const [victim = 0] = await pids();
  process.kill(victim, 'SIGKILL');
  await until('a new worker', async () => (await pids()).length === 2 && !(await pids()).includes(victim));
  const person = clientOf(gateway);
  await signIn(person, 'anna');
  for (const client of await clientsOnWorkers(gateway, CookieJar.copyOf(person.jar))) {
    t.equal(await whoAmI(client), 'anna');
    client.close();
  }
  person.close();
});

await test('a worker that hangs is replaced, and meanwhile the other goes on', async (t) => {
  const person = clientOf(gateway);
  await signIn(person, 'anna');
  const [onVictim, onSurvivor] = await clientsOnWorkers(gateway, CookieJar.copyOf(person.jar));
  const [victim = 0, survivor = 0] = await pids();
  if (onVictim === undefined || onSurvivor === undefined) throw new Error('two workers are needed');
  process.kill(victim, 'SIGSTOP');
  t.equal(await whoAmI(onSurvivor), 'anna');
  const { code } = gateway.command('sessions', 'revoke', '--account', 'main', '--subject', 'anna');
  t.equal(code, 0, 'a revocation does not wait for it');
  t.equal(await whoAmI(onSurvivor), undefined);
  await until(
    'a new worker',
    async () => !(await pids()).includes(victim) && (await pids()).length === 2,
    20_000,
  );
  t.ok((await pids()).includes(survivor));
  for (const client of [person, onVictim, onSurvivor]) client.close();
});

await test('workers do not outlive a supervisor that is killed', async (t) => {
  const left = await pids();
  process.kill(gateway.program.pid, 'SIGKILL');
  for (const pid of left)
    await until(`the end of ${pid}`, async () => {
      try {
        process.kill(pid, 0);
        return false;
      } catch {
        return true;
      }
    });
  t.pass('all are gone');
});
