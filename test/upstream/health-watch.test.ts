import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { test } from 'tap';

import { HealthWatch } from '../../gateway/upstream/health-watch.ts';
import { noteFailure } from '../../gateway/upstream/outlier.ts';
import { FleetDriver } from './fleet-fixture.ts';

const HEALTH = { path: '/', everyMs: 20, timeoutMs: 2000, unhealthyAfter: 2, healthyAfter: 1 };

async function serve(asked: () => void): Promise<{ server: Server; port: number }> {
  const server = createServer((_request, response) => {
    asked();
    response.end('{"status":"ok","role":"primary","epoch":1}');
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, port: (server.address() as AddressInfo).port };
}

async function until(isThere: () => boolean): Promise<void> {
  for (const end = performance.now() + 10_000; !isThere(); await pause(5))
    if (performance.now() > end) throw new Error('not in time');
}

void test('nodes are asked from the start, and a node that a reload took away is asked no more', async (t) => {
  let [stays, goes] = [0, 0];
  const one = await serve(() => stays++);
  const two = await serve(() => goes++);
  const regions = [
    { id: 'a', ports: [one.port] },
    { id: 'b', ports: [two.port] },
  ];
  const fleet = new FleetDriver(regions);
  fleet.map.fleet.isSurveyed = false;
  const watch = new HealthWatch();
  watch.watch(fleet.map, () => HEALTH);
  t.same(fleet.writes(), []);
  await until(() => fleet.map.fleet.isSurveyed && stays > 3 && goes > 3);
  const before = fleet.map;
  fleet.reload(regions.slice(0, 1));
  watch.watch(fleet.map, () => HEALTH);
  await before.closeExcept(fleet.map);
  const [staysThen, goesThen] = [stays, goes];
  await until(() => stays > staysThen + 10);
  // One that was on its way at that moment may still arrive.
  t.ok(goes <= goesThen + 1, `${goes - goesThen} checks after the reload`);
  t.same(fleet.writes(), [one.port]);
  watch.stop();
  await fleet.close();
  one.server.close();
  two.server.close();
});

void test('a request that fails at a node brings its next check forward', async (t) => {
  let asked = 0;
  const { server, port } = await serve(() => asked++);
  const fleet = new FleetDriver([{ id: 'a', ports: [port] }]);
  const watch = new HealthWatch();
  watch.watch(fleet.map, () => ({ ...HEALTH, everyMs: 600_000 }));
  await until(() => asked === 1);
  server.closeAllConnections();
  server.close();
  await once(server, 'close');
  await until(() => fleet.node(port).checked);
  for (let i = 0; i < 2; i++) {
    const { failures } = fleet.node(port);
    noteFailure(fleet.map, fleet.node(port), 'connection');
    await until(() => fleet.node(port).failures > failures);
  }
  t.same([fleet.node(port).healthy, fleet.writes()], [false, []]);
  watch.stop();
  await fleet.close();
});
