/**
 * The primary is killed, frozen, moved and cut off while people write and read. The nodes keep their word (see
 * `replicated-node.ts`): what they acknowledge survives the operator's promotion. Then the gateway must lose, double
 * and hide nothing, and refuse only while it cannot know better.
 */
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import tap, { test } from 'tap';
import { startDelayProxy } from '../support/delay-proxy.ts';
import { startGateway } from '../support/start-gateway.ts';
import { MixedLoad } from './mixed-load.ts';
import { ReplicatedCluster } from './replicated-cluster.ts';

tap.setTimeout(180_000);
const EVERY_MS = 200;
const TIMEOUT_MS = 300;
const UNHEALTHY_AFTER = 2;
/** By when the gateway must know that a node is gone. */
const DETECTION_MS = UNHEALTHY_AFTER * EVERY_MS + TIMEOUT_MS;
/** The machine is shared: both the checks and the people may be late. */
const SLACK_MS = 1500;
const PEOPLE = 24;

const cluster = await ReplicatedCluster.start();
/** The gateway's way to each node, which can be made to lead nowhere without anybody being told. */
const ways = await Promise.all(cluster.nodes.map(({ port }) => startDelayProxy(port)));
const health = `{ every: ${EVERY_MS}ms, timeout: ${TIMEOUT_MS}ms, unhealthy_after: ${UNHEALTHY_AFTER}, healthy_after: 2 }`;
const gateway = await startGateway(`
accounts: { single: main }
tls: { certificates: [{ hosts: [localhost], self_signed: true }] }
regions:
${cluster.nodes.map(({ region }, index) => `  - { id: ${region}, nodes: ["http://127.0.0.1:${ways[index]?.port}"], health: ${health} }`).join('\n')}
routing: { home: { default: nsk }, failover: [nsk, spb, msk], max_lag: 2s, write_wait: 5s }
routes:
  - { name: login, match: { path: /login }, access: public }
  - { name: app, match: { path: "/**" }, access: session }
protection: { upstream_timeout: 8s }
sessions: {}
`);
tap.teardown(async () => {
  await gateway.program.stop();
  await Promise.all(ways.map((way) => way.close()));
  await cluster.stop();
});
const load = new MixedLoad({ host: 'localhost', port: gateway.port, ca: gateway.ca }, 50);
await load.start(PEOPLE);
const windows: { name: string; fromMs: number; toMs: number }[] = [];

/** A fault begins now; errors are forgiven from here until the gateway must have noticed. */
async function during(name: string, afterMs: number, fault: () => void | Promise<void>): Promise<void> {
  const fromMs = performance.now();
  await fault();
  windows.push({ name, fromMs, toMs: performance.now() + DETECTION_MS + SLACK_MS });
  await pause(afterMs);
}

/** Waits until changes are acknowledged again. */
async function untilWritten(): Promise<void> {
  const before = load.acknowledged.size;
  for (const end = performance.now() + 20_000; load.acknowledged.size < before + PEOPLE; await pause(20))
    if (performance.now() > end) throw new Error('nothing is written any more');
}

/** Asked without a pause in this process, through which the gateway reaches the nodes. */
async function roleOf(region: string): Promise<{ role: string; healthy: boolean }> {
  const call = request({ socketPath: join(gateway.data, 'control.sock'), path: '/v1/status' }).end();
  const [answer] = (await once(call, 'response')) as [IncomingMessage];
  let body = '';
  for await (const chunk of answer.setEncoding('utf8')) body += chunk as string;
  const status = JSON.parse(body) as { nodes: { region: string; role: string; healthy: boolean }[] };
  return status.nodes.find((node) => node.region === region) ?? { role: 'none', healthy: false };
}

await test('with nothing wrong, nothing fails, and copies answer reads', async (t) => {
  await pause(1500);
  await untilWritten();
  t.same(load.failures, []);
  t.ok((load.readsByRegion.get('nsk') ?? 0) > 0, 'the home region answers what it can');
  t.ok((load.readsByRegion.get('msk') ?? 0) > 0, 'the primary answers what home does not have yet');
});

await test('the primary is killed, another is promoted, and the dead one comes back as a copy', async (t) => {
  const victim = cluster.primary;
  await during('killed', 400, () => victim.kill());
  await during('promoted', 500, () => cluster.promote(cluster.standby, cluster.third));
  await untilWritten();
  t.match(await roleOf(cluster.primary.region), { role: 'primary', healthy: true });
  await victim.start();
  await untilWritten();
  t.equal((await victim.control('state')).epoch >= 0, true);
});

await test('the primary is frozen, replaced, and thaws: it is fenced', async (t) => {
  const victim = cluster.primary;
  const heir = cluster.standby;
  await during('frozen', 700, () => victim.signal('SIGSTOP'));
  await during('promoted', 500, () => cluster.promote(heir, cluster.third));
  await untilWritten();
  await during('thawed', 500, () => victim.signal('SIGCONT'));
  await untilWritten();
  t.match(await roleOf(heir.region), { role: 'primary' });
  t.not((await roleOf(victim.region)).role, 'primary');
});

await test('the primary moves while it lives', async (t) => {
  for (let round = 0; round < 3; round++) {
    await during('moved', 600, () => cluster.promote(cluster.standby, cluster.third));
    await untilWritten();
  }
  t.pass('changes go on after every move');
});

await test('the way to the primary leads nowhere, it is replaced, and the way heals', async (t) => {
  const lost = cluster.primary;
  const way = ways[cluster.nodes.indexOf(lost)];
  await during('half-open', DETECTION_MS, () => way?.hold('all'));
  await during('promoted', 500, () => cluster.promote(cluster.standby, cluster.third));
  await untilWritten();
  await during('healed', 1000, () => way?.release());
  await untilWritten();
  t.not((await roleOf(lost.region)).role, 'primary', 'what was held up on the way changes nothing there');
});

await test('connections are reset in the middle of bodies and answers; then all is well again', async (t) => {
  for (const fault of ['reset', 'cut'] as const) {
    await during(fault, 0, async () => {
      await cluster.primary.control('fault', { fault });
      await pause(600);
      await cluster.primary.control('fault', { fault: '' });
    });
    await untilWritten();
  }
  t.match(await roleOf(cluster.primary.region), { role: 'primary' }, 'the last primary is never put aside');
});

await test('a copy that is slow is left for others, and comes back', async (t) => {
  const victim = cluster.nodes.find(({ region }) => region === 'nsk') ?? cluster.third;
  if (victim === cluster.primary)
    await during('moved', 600, () => cluster.promote(cluster.standby, cluster.third));
  await untilWritten();
  await during('slow', 2500, () => void victim.control('fault', { fault: 'slow' }));
  const before = load.reads;
  await untilWritten();
  t.ok(load.reads > before, 'reads go on elsewhere');
  await during('healed', 1000, () => void victim.control('fault', { fault: '' }));
  const home = load.readsByRegion.get('nsk') ?? 0;
  for (const end = performance.now() + 20_000; (load.readsByRegion.get('nsk') ?? 0) <= home; await pause(50))
    if (performance.now() > end) break;
  t.ok((load.readsByRegion.get('nsk') ?? 0) > home, 'home answers again');
});

await test('no acknowledged change is lost, none is doubled, nobody missed what they wrote', async (t) => {
  await load.stop();
  const { log } = await cluster.primary.control('state');
  const counts = new Map<string, number>();
  for (const { id } of log) counts.set(id, (counts.get(id) ?? 0) + 1);
  const lost = [...load.acknowledged].filter((id) => !counts.has(id));
  const doubled = [...counts].filter(([, count]) => count > 1);
  const outside = load.outside(windows);
  t.same(lost, [], 'acknowledged changes that are lost');
  t.same(doubled, [], 'changes that are there twice');
  t.same(load.stale, [], 'stale reads of own data');
  t.same(outside, [], `failures later than ${DETECTION_MS} ms (and ${SLACK_MS} ms of slack) after a fault`);
  const kinds = new Map<string, number>();
  for (const { what } of load.failures) kinds.set(what, (kinds.get(what) ?? 0) + 1);
  t.comment(
    `${load.acknowledged.size} changes acknowledged, ${load.reads} reads, by region ${text(load.readsByRegion)}`,
  );
  t.comment(`${windows.length} faults, ${load.failures.length} failures, all near them: ${text(kinds)}`);
  t.ok(load.acknowledged.size > 100 && load.reads > 300);
});

function text(counts: ReadonlyMap<string, number>): string {
  return [...counts].map(([name, count]) => `${name} ${count}`).join(', ');
}
