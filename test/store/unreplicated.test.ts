import { randomUUID } from 'node:crypto';
import { test } from 'tap';

import { createGatewayMetrics } from '../../gateway/observability/gateway-metrics.ts';
import { MetricRegistry } from '../../gateway/observability/metric-registry.ts';
import { reportUnreplicated } from '../../gateway/pipeline/session-report.ts';
import { newFamily } from '../../gateway/session/rotate.ts';
import { openRedisStore } from '../../gateway/store/redis-store.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { startRedis, until } from '../support/redis-servers.ts';

await test('an end that no replica confirms is reported, counted, and told once a minute', async (t) => {
  const primary = await startRedis(['repl-diskless-sync-delay 0']);
  const replica = await startRedis([`replicaof 127.0.0.1 ${primary.port}`]);
  t.teardown(async () => {
    replica.signal('SIGCONT');
    await Promise.all([replica.kill(), primary.kill()]);
  });
  await until(async () => String(await replica.command('INFO', 'replication')).includes('link_status:up'));
  const registry = new MetricRegistry();
  const clock = new ManualClock();
  const told: string[] = [];
  const onUnreplicated = reportUnreplicated(createGatewayMetrics(registry), clock, (_level, message) =>
    told.push(message),
  );
  const store = await openRedisStore({ place: { kind: 'single', url: primary.url }, onUnreplicated });
  t.teardown(() => store.close());
  const endOne = async (id: string): Promise<boolean> => {
    const nowMs = Date.now();
    const state = newFamily(nowMs, 'hash', nowMs + 60_000);
    const sealed = { profile: Buffer.alloc(0), jar: undefined, jarVersion: 0 };
    await store.create({ id, state, person: undefined, createdMs: nowMs, ...sealed }, 10);
    return await store.end(id, 'revoked');
  };
  const counted = async (): Promise<number> =>
    Number(/^zasov_store_unreplicated_total (\d+)/m.exec(await registry.render())?.[1] ?? 0);
  // A replica that has just come, or a busy machine, may be late now and then; a healthy one is not for long.
  await until(async () => {
    const before = await counted();
    t.equal(await endOne(randomUUID()), true);
    return (await counted()) === before;
  });
  clock.advance(60_000);
  const [countedBefore, toldBefore] = [await counted(), told.length];
  replica.signal('SIGSTOP');
  t.equal(await endOne('b'), true, 'a replica that stands still holds no end up');
  t.equal(await endOne('c'), true);
  t.equal(await counted(), countedBefore + 2);
  t.equal(told.length, toldBefore + 1);
  clock.advance(60_000);
  await endOne('d');
  t.equal(told.length, toldBefore + 2);
});
