/** A signal of a data centre on many nodes and processes: how soon it is in force, what it ends, and what it survives. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import tap, { test } from 'tap';

import { createMasterKey } from '../../gateway/crypto/keyring.ts';
import { SESSION_COOKIE } from '../../gateway/session/session.ts';
import { clientOf, signIn } from '../end-to-end/small-crm-client.ts';
import { until, workersOf } from '../end-to-end/worker-node.ts';
import { CookieJar } from '../support/cookie-jar.ts';
import { sendSignal, signedSignal } from '../support/facility.ts';
import type { HttpsClient } from '../support/https-client.ts';
import { startRedis } from '../support/redis-servers.ts';
import { type SmallCrm, smallCrmPolicy, startSmallCrm } from '../support/small-crm.ts';
import { type RunningGateway, startGateway, temporaryDirectory } from '../support/start-gateway.ts';
import { StreamClients, type StreamEnd } from '../support/stream-clients.ts';

const SECRET = 'the alarm panel of msk';
/** In force everywhere within this time. */
const SOON_MS = 1000;

tap.setTimeout(180_000);

const folder = temporaryDirectory();
writeFileSync(join(folder, 'master.key'), createMasterKey(), { mode: 0o600 });
writeFileSync(join(folder, 'msk.facility'), SECRET, { mode: 0o600 });

/** Two regions; everybody is at home in the first. */
function policyOf(msk: SmallCrm, spb: SmallCrm, more: string): string {
  const regions = `regions:
  - { id: msk, nodes: ["${msk.origin}"], health: { path: /login, every: 200ms }, facility: { secret: "file:${folder}/msk.facility" } }
  - { id: spb, nodes: ["${spb.origin}"], health: { path: /login, every: 200ms } }
routing:
  home: { default: msk }`;
  return (
    `${more}secrets: { master_key: "file:${folder}/master.key" }\n` +
    smallCrmPolicy(msk.origin).replace(/^regions:[^]*?home: \{ default: home \}$/m, regions)
  );
}

interface Opened {
  readonly ends: Promise<StreamEnd>[];
  readonly clients: StreamClients;
  readonly people: HttpsClient[];
}

async function openStreams(gateway: RunningGateway, name: string, times: number): Promise<Opened> {
  const clients = new StreamClients(gateway);
  const person = clientOf(gateway);
  await signIn(person, name);
  const ends: Promise<StreamEnd>[] = [];
  for (let count = 0; count < times; count += 1)
    ends.push(...(await clients.openSocket(person)), ...(await clients.openEvents(person)));
  return { ends, clients, people: [person] };
}

async function close(opened: readonly Opened[]): Promise<void> {
  for (const { clients, people } of opened) {
    await clients.close();
    for (const person of people) person.close();
  }
}

async function stateOf(gateway: RunningGateway): Promise<string | undefined> {
  const rows = JSON.parse(gateway.command('regions', 'list', '--json').stdout) as {
    id: string;
    state: string;
  }[];
  return rows.find(({ id }) => id === 'msk')?.state;
}

function signal(gateway: RunningGateway, type: string) {
  return sendSignal(signedSignal(gateway.listeners.ops, 'msk', SECRET, type));
}

await test('an intrusion is in force on every gateway within a second: streams end, nothing passes, nothing waits', async (t) => {
  const redis = await startRedis();
  const [msk, spb] = [await startSmallCrm(), await startSmallCrm()];
  const policy = policyOf(msk, spb, `store: { kind: redis, url: "${redis.url}" }\n`);
  const one = await startGateway(policy);
  let other = await startGateway(policy);
  const opened = [await openStreams(one, 'anna', 3), await openStreams(other, 'boris', 3)];
  t.teardown(async () => {
    await close(opened);
    await Promise.all([one.program.stop(), other.program.stop()]);
    await Promise.all([redis.kill(), msk.close(), spb.close()]);
  });
  t.equal(msk.openStreams(), 12);
  // A long answer is under way, too.
  const person = opened[1]?.people[0];
  const download = person?.get('/download?bytes=3000000000').then(
    () => 'whole',
    () => 'broken',
  );
  await pause(300);

  const replayed = signedSignal(one.listeners.ops, 'msk', SECRET, 'intrusion');
  const startMs = performance.now();
  t.match(await sendSignal(replayed), { status: 200, value: { state: 'sealed', recorded: true } });
  const answeredMs = performance.now() - startMs;
  const ends = await Promise.all(opened.flatMap((each) => each.ends));
  const times = ends.map(({ atMs }) => Math.round(atMs - startMs));
  t.strictSame(
    ends.map(({ how }) => how),
    Array.from({ length: 6 }, () => [1012, 'whole']).flat(),
    'WebSockets are told to connect again, event streams end as a whole',
  );
  t.ok(Math.max(...times) < SOON_MS, `ended after ${times.join(', ')} ms`);
  t.equal(await download, 'broken');
  t.comment(`answered after ${answeredMs.toFixed(0)} ms; streams ended after ${times.join(', ')} ms`);
  await until('nothing is open in the sealed region', async () => msk.openStreams() === 0, SOON_MS);
  t.equal(await stateOf(other), 'sealed');

  const again = await sendSignal({
    ...replayed,
    url: replayed.url.replace(one.listeners.ops, other.listeners.ops),
  });
  t.match(
    again,
    { status: 409, value: { code: 'signal_replayed' } },
    'nobody repeats it at the other gateway',
  );
  // Without the cookie that says that it has just changed something: reads of one's own changes wait for the primary.
  const jar = new CookieJar();
  jar.set(SESSION_COOKIE, person?.jar.get(SESSION_COOKIE) ?? '');
  const clients = new StreamClients(other);
  opened.push({ ends: await clients.openEvents(clientOf(other, jar)), clients, people: [] });
  t.equal(msk.openStreams(), 0);
  t.equal(spb.openStreams(), 1, 'who connects again comes to another region');

  await other.program.kill();
  other = await startGateway(policy, other.data);
  t.equal(await stateOf(other), 'sealed', 'a restart opens nothing');
});

await test('an intrusion while the store is away seals here at once, survives kill -9 and reaches the others later', async (t) => {
  const redis = await startRedis(['appendonly yes', 'appendfsync always']);
  const [msk, spb] = [await startSmallCrm(), await startSmallCrm()];
  const policy = policyOf(msk, spb, `store: { kind: redis, url: "${redis.url}" }\n`);
  let one = await startGateway(policy);
  const other = await startGateway(policy);
  const opened = [await openStreams(one, 'anna', 2)];
  t.teardown(async () => {
    await close(opened);
    await Promise.all([one.program.stop(), other.program.stop()]);
    await Promise.all([redis.kill(), msk.close(), spb.close()]);
  });
  redis.signal('SIGSTOP');
  const startMs = performance.now();
  const answer = signal(one, 'tamper');
  const ends = await Promise.all(opened.flatMap((each) => each.ends));
  const times = ends.map(({ atMs }) => Math.round(atMs - startMs));
  t.ok(Math.max(...times) < SOON_MS, `ended after ${times.join(', ')} ms`);
  t.match(await answer, { status: 202, value: { state: 'sealed', recorded: false } });
  t.comment(`with the store stopped: streams ended after ${times.join(', ')} ms`);
  await one.program.kill();
  redis.signal('SIGCONT');
  t.equal(await stateOf(other), 'open', 'nobody else could hear of it yet');
  one = await startGateway(policy, one.data);
  await until('the others hear of it', async () => (await stateOf(other)) === 'sealed', 15_000);
  t.equal(await stateOf(one), 'sealed');
});

await test('with several workers a signal reaches all of them within a second', async (t) => {
  const [msk, spb] = [await startSmallCrm(), await startSmallCrm()];
  const gateway = await startGateway(policyOf(msk, spb, 'workers: 3\n'));
  const opened = [await openStreams(gateway, 'anna', 12)];
  t.teardown(async () => {
    await close(opened);
    await gateway.program.stop();
    await Promise.all([msk.close(), spb.close()]);
  });
  const busy = (await workersOf(gateway)).filter(({ requests_open: open }) => open > 0).length;
  t.ok(busy >= 2, `streams on ${busy} workers`);
  const startMs = performance.now();
  t.match(await signal(gateway, 'intrusion'), { status: 200 });
  const ends = await Promise.all(opened.flatMap((each) => each.ends));
  const times = ends.map(({ atMs }) => Math.round(atMs - startMs));
  t.ok(Math.max(...times) < SOON_MS, `ended after ${times.join(', ')} ms`);
  t.ok(ends.every(({ how }) => how === 1012 || how === 'whole'));
  t.comment(`24 streams on ${busy} workers ended after ${Math.min(...times)} to ${Math.max(...times)} ms`);
});

await test('a fire moves streams and lets requests under way finish', async (t) => {
  const [msk, spb] = [await startSmallCrm(), await startSmallCrm()];
  const gateway = await startGateway(policyOf(msk, spb, ''));
  const opened = [await openStreams(gateway, 'anna', 2)];
  t.teardown(async () => {
    await close(opened);
    await gateway.program.stop();
    await Promise.all([msk.close(), spb.close()]);
  });
  const download = opened[0]?.people[0]?.get('/download?bytes=200000000');
  await pause(50);
  t.match(await signal(gateway, 'fire'), { status: 200, value: { state: 'draining' } });
  const ends = await Promise.all(opened.flatMap((each) => each.ends));
  t.strictSame(
    ends.map(({ how }) => how),
    [1012, 'whole', 1012, 'whole'],
  );
  t.equal((await download)?.body.length, 200_000_000, 'the answer under way came whole');
  t.match(await signal(gateway, 'clear'), { status: 200, value: { state: 'open' } });
});

await test('streams end cleanly when their node dies', async (t) => {
  const [msk, spb] = [await startSmallCrm(), await startSmallCrm()];
  const gateway = await startGateway(policyOf(msk, spb, ''));
  const opened = [await openStreams(gateway, 'anna', 2)];
  t.teardown(async () => {
    await close(opened);
    await gateway.program.stop();
    await spb.close();
  });
  await msk.close();
  const ends = await Promise.all(opened.flatMap((each) => each.ends));
  t.strictSame(
    ends.map(({ how }) => how),
    [1012, 'whole', 1012, 'whole'],
  );
});
