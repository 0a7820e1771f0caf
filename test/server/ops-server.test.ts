import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'tap';
import { MetricRegistry } from '../../gateway/observability/metric-registry.ts';
import { startOpsServer } from '../../gateway/server/ops-server.ts';
import type { Readiness } from '../../gateway/server/ops-server.ts';

const LOOPBACK = { address: '127.0.0.1', port: 0 };

async function start(t: { teardown(work: () => Promise<void>): void }, readiness: () => Readiness) {
  const registry = new MetricRegistry();
  registry.counter({ name: 'zasov_test_total', help: 'Test.' }).child({}).inc(3);
  const server = await startOpsServer({ endpoint: LOOPBACK, registry, readiness });
  t.teardown(() => server.close());
  const origin = `http://127.0.0.1:${server.address.port}`;
  return { get: (path: string, init?: RequestInit) => fetch(origin + path, init), port: server.address.port };
}

const ready = (): Readiness => ({ ready: true, checks: { store: true } });

await test('readyz is 200 only when ready, and tells which check failed', async (t) => {
  let state: Readiness = { ready: false, checks: { store: true, regions: 'no node of msk answers' } };
  const { get } = await start(t, () => state);
  const before = await get('/readyz');
  t.equal(before.status, 503);
  t.strictSame(await before.json(), state);
  state = { ready: true, checks: { store: true, regions: true } };
  const after = await get('/readyz');
  t.equal(after.status, 200);
  t.strictSame(await after.json(), state);
  t.equal(after.headers.get('cache-control'), 'no-store');
});

await test('a readiness check that throws means not ready, without saying why to the network', async (t) => {
  const { get } = await start(t, () => {
    throw new Error('hunter2');
  });
  const response = await get('/readyz');
  t.equal(response.status, 503);
  t.notMatch(await response.text(), 'hunter2');
});

await test('livez answers while not ready, metrics come in the Prometheus text format', async (t) => {
  const { get } = await start(t, () => ({ ready: false, checks: {} }));
  t.equal((await get('/livez')).status, 200);
  const metrics = await get('/metrics?x=1');
  t.equal(metrics.status, 200);
  t.equal(metrics.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
  t.match(await metrics.text(), '\nzasov_test_total 3\n');
});

await test('nothing else is there, and nothing but GET and HEAD', async (t) => {
  const { get } = await start(t, ready);
  for (const path of ['/', '/metrics/', '/.zasov/console', '/readyz/../metrics%2f']) {
    t.equal((await get(path)).status, 404, path);
  }
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
    const response = await get('/metrics', { method, ...(method === 'POST' ? { body: 'x' } : {}) });
    t.equal(response.status, 405, method);
    t.equal(response.headers.get('allow'), 'GET, HEAD');
  }
  const head = await get('/metrics', { method: 'HEAD' });
  t.equal(head.status, 200);
  t.ok(Number(head.headers.get('content-length')) > 0);
  t.equal(await head.text(), '');
});

await test('headers beyond the bound cut the connection, and so does a request after a body', async (t) => {
  const { port, get } = await start(t, ready);
  const speak = async (text: string): Promise<string> => {
    const socket = connect(port, '127.0.0.1');
    let answer = '';
    socket.setEncoding('latin1').on('data', (chunk: string) => (answer += chunk));
    socket.on('error', () => {});
    socket.write(text);
    await once(socket, 'close');
    return answer;
  };
  t.equal(await speak(`GET /livez HTTP/1.1\r\nhost: x\r\na: ${'b'.repeat(20_000)}\r\n\r\n`), '');
  const smuggled = 'GET /livez HTTP/1.1\r\nhost: x\r\n\r\n';
  const length = `content-length: ${smuggled.length}`;
  const answer = await speak(`POST /metrics HTTP/1.1\r\nhost: x\r\n${length}\r\n\r\n${smuggled}${smuggled}`);
  t.equal(answer.match(/HTTP\/1\.1/g)?.length, 1);
  t.equal((await get('/livez')).status, 200);
});

await test('a taken port is an error, and a closed server leaves it free at once', async (t) => {
  const first = await startOpsServer({
    endpoint: LOOPBACK,
    registry: new MetricRegistry(),
    readiness: ready,
  });
  const endpoint = { address: '127.0.0.1', port: first.address.port };
  const registry = new MetricRegistry();
  await t.rejects(startOpsServer({ endpoint, registry, readiness: ready }), { code: 'EADDRINUSE' });
  const idle = connect(endpoint.port, '127.0.0.1');
  await once(idle, 'connect');
  await first.close();
  const second = await startOpsServer({ endpoint, registry, readiness: ready });
  await second.close();
  idle.destroy();
});
