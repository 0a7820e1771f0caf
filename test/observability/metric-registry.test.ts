import { execFileSync, spawnSync } from 'node:child_process';
import { openSync } from 'node:fs';
import { test } from 'tap';
import { createGatewayMetrics } from '../../gateway/observability/gateway-metrics.ts';
import { MetricRegistry } from '../../gateway/observability/metric-registry.ts';
import { collectProcessMetrics } from '../../gateway/observability/process-metrics.ts';

/** The value of a series in a scrape, by its name with labels. */
function valueOf(scrape: string, series: string): number | undefined {
  const line = scrape.split('\n').find((text) => text.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length + 1));
}

await test('a scrape holds help, type and every series, histograms cumulative', async (t) => {
  const registry = new MetricRegistry();
  const counter = registry.counter({ name: 'zasov_things_total', help: 'Things.\nAll.', labels: ['kind'] });
  counter.child({ kind: 'a' }).inc();
  counter.child({ kind: 'a' }).inc(2);
  counter.child({ kind: 'b' }).inc(-5);
  registry.gauge({ name: 'zasov_level', help: 'Level.' }).child({}).set(1.5);
  const histogram = registry
    .histogram({ name: 'zasov_wait_seconds', help: 'Wait.', labels: ['part'], buckets: [0.1, 1] })
    .child({ part: 'x' });
  for (const value of [0.05, 0.1, 0.5, 7, Number.NaN]) histogram.observe(value);
  const scrape = await registry.render();
  const own = scrape.slice(scrape.indexOf('# HELP zasov_things_total'));
  t.equal(
    own,
    [
      String.raw`# HELP zasov_things_total Things.\nAll.`,
      '# TYPE zasov_things_total counter',
      'zasov_things_total{kind="a"} 3',
      'zasov_things_total{kind="b"} 0',
      '# HELP zasov_level Level.',
      '# TYPE zasov_level gauge',
      'zasov_level 1.5',
      '# HELP zasov_wait_seconds Wait.',
      '# TYPE zasov_wait_seconds histogram',
      'zasov_wait_seconds_bucket{part="x",le="0.1"} 2',
      'zasov_wait_seconds_bucket{part="x",le="1"} 3',
      'zasov_wait_seconds_bucket{part="x",le="+Inf"} 4',
      'zasov_wait_seconds_sum{part="x"} 7.65',
      'zasov_wait_seconds_count{part="x"} 4',
      '',
    ].join('\n'),
  );
});

await test('label values from the network cannot break the format', async (t) => {
  const registry = new MetricRegistry();
  const counter = registry.counter({ name: 'zasov_x_total', help: 'x', labels: ['route'] });
  counter.child({ route: 'a"} 1\nevil_total{x="\\' }).inc();
  counter.child({ route: `\ud800${'z'.repeat(1000)}` }).inc();
  const scrape = await registry.render();
  t.match(scrape, String.raw`zasov_x_total{route="a\"} 1\nevil_total{x=\"\\"} 1`);
  t.notMatch(scrape, /^evil_total/m);
  t.ok(
    scrape.split('\n').every((line) => line.length < 300),
    'long values are cut',
  );
});

await test('labels beyond the bound are counted together as "other"', async (t) => {
  const registry = new MetricRegistry();
  const declaration = { name: 'zasov_x_total', help: 'x', labels: ['host', 'kind'], childLimit: 3 } as const;
  const counter = registry.counter(declaration);
  for (let index = 0; index < 10_000; index += 1) counter.child({ host: `h${index}`, kind: 'k' }).inc();
  const scrape = await registry.render();
  t.equal(valueOf(scrape, 'zasov_x_total{host="h2",kind="k"}'), 1);
  t.equal(valueOf(scrape, 'zasov_x_total{host="other",kind="other"}'), 9997);
  t.equal(scrape.match(/^zasov_x_total\{/gm)?.length, 4);
});

await test('subjects that are gone leave the scrape after a reset', async (t) => {
  const registry = new MetricRegistry();
  const gauge = registry.gauge({ name: 'zasov_region_healthy', help: 'x', labels: ['region'] });
  gauge.child({ region: 'old' }).set(1);
  gauge.reset();
  gauge.child({ region: 'new' }).set(0);
  const scrape = await registry.render();
  t.equal(valueOf(scrape, 'zasov_region_healthy{region="old"}'), undefined);
  t.equal(valueOf(scrape, 'zasov_region_healthy{region="new"}'), 0);
});

await test('a collector that fails or never answers costs only its own gauge', async (t) => {
  const registry = new MetricRegistry(20);
  const gauge = registry.gauge({ name: 'zasov_good', help: 'x' }).child({});
  registry.onCollect(() => {
    throw new Error('broken');
  });
  registry.onCollect(() => new Promise<void>(() => {}));
  registry.onCollect(async () => gauge.set(7));
  const scrape = await registry.render();
  t.equal(valueOf(scrape, 'zasov_good'), 7);
  t.equal(valueOf(scrape, 'zasov_metric_collect_failures_total'), 2);
});

await test('a name is declared once', async (t) => {
  const registry = new MetricRegistry();
  registry.gauge({ name: 'zasov_x', help: 'x' });
  t.throws(() => registry.counter({ name: 'zasov_x', help: 'x' }), /taken/);
  t.throws(() => registry.counter({ name: 'zasov x', help: 'x' }), /malformed/);
});

await test('requests are counted by route, access and status, and timed by part', async (t) => {
  const registry = new MetricRegistry();
  const recorder = createGatewayMetrics(registry).requestRecorder('app', 'session');
  recorder.record(200, 0.0002, 0.03);
  recorder.record(200, 0.0002, undefined);
  recorder.record(77_777, 0.0002, undefined);
  const scrape = await registry.render();
  t.equal(valueOf(scrape, 'zasov_requests_total{route="app",access="session",status="200"}'), 2);
  t.equal(valueOf(scrape, 'zasov_requests_total{route="app",access="session",status="other"}'), 1);
  t.equal(valueOf(scrape, 'zasov_request_seconds_count{part="gateway"}'), 3);
  t.equal(valueOf(scrape, 'zasov_request_seconds_count{part="upstream"}'), 1);
  t.equal(valueOf(scrape, 'zasov_request_seconds_bucket{part="upstream",le="0.05"}'), 1);
});

await test('the process tells its CPU, memory, files and event-loop lag as they are', async (t) => {
  const registry = new MetricRegistry();
  const stop = collectProcessMetrics(registry);
  t.teardown(stop);
  const before = await registry.render();
  const files = Array.from({ length: 10 }, () => openSync('/dev/null', 'r'));
  // The lag timer of the event loop must tick before and after the block to see it.
  await new Promise((resolve) => void setTimeout(resolve, 30));
  // CPU time, not the clock's: on a busy machine a process gets a part of it only.
  const { user, system } = process.cpuUsage();
  for (let used = 0; used < 120_000;) {
    const now = process.cpuUsage();
    used = now.user + now.system - user - system;
  }
  await new Promise((resolve) => void setTimeout(resolve, 40));
  const after = await registry.render();
  const grown = (name: string): number => (valueOf(after, name) ?? 0) - (valueOf(before, name) ?? 0);
  t.equal(grown('process_open_fds') >= files.length, true);
  t.ok(grown('process_cpu_seconds_total') > 0.05);
  t.ok((valueOf(after, 'nodejs_eventloop_lag_max_seconds') ?? 0) > 0.05, 'a blocked loop shows');
  t.ok((valueOf(after, 'nodejs_eventloop_utilization_ratio') ?? 0) > 0.1);
  const resident = valueOf(after, 'process_resident_memory_bytes') ?? 0;
  t.ok(resident > 10e6 && resident < 10e9);
  t.ok(Math.abs((valueOf(after, 'process_start_time_seconds') ?? 0) - performance.timeOrigin / 1000) < 1);
});

const promtool = spawnSync('promtool', ['--version']).status === 0;

await test(
  'promtool finds nothing wrong with the scrape',
  { skip: promtool ? false : 'promtool is missing: install the Debian package prometheus' },
  async (t) => {
    const registry = new MetricRegistry();
    t.teardown(collectProcessMetrics(registry));
    const metrics = createGatewayMetrics(registry);
    metrics.requestRecorder('say "hi"\\\n', 'session').record(200, 0.001, 0.002);
    metrics.sessionThefts.child({ kind: 'fork' }).inc();
    metrics.apiKeysRejected.child({ code: 'key_expired' }).inc();
    metrics.adminsDenied.child({ reason: 'network' }).inc();
    metrics.rateLimited.child({ limit: 'api' }).inc();
    metrics.regionHealthy.child({ region: 'msk' }).set(1);
    metrics.nodeHealthy.child({ region: 'msk', node: 'http://127.0.0.1:9101' }).set(1);
    metrics.streamsActive.child({ kind: 'websocket' }).inc();
    metrics.certificateExpiry.child({ host: '*.crm.localhost' }).set(1_800_000_000);
    metrics.policyReloads.child({ result: 'refused' }).inc();
    metrics.storeSeconds.child({ operation: 'touch' }).observe(0.0001);
    const scrape = await registry.render();
    t.equal(execFileSync('promtool', ['check', 'metrics'], { input: scrape, stdio: 'pipe' }).toString(), '');
    const contract = [
      'requests_total request_seconds sessions_active session_rotations_total session_grace_hits_total',
      'session_theft_total api_key_rejected_total admin_denied_total rate_limited_total region_healthy',
      'node_healthy failovers_total certificate_expiry_timestamp_seconds policy_reloads_total',
      'streams_active store_seconds',
    ];
    for (const name of contract.join(' ').split(' ')) t.match(scrape, `# TYPE zasov_${name} `);
  },
);

await test('counting and looking up stay cheap', async (t) => {
  const registry = new MetricRegistry();
  const recorder = createGatewayMetrics(registry).requestRecorder('app', 'session');
  const rounds = 200_000;
  const startedAt = performance.now();
  for (let index = 0; index < rounds; index += 1) recorder.record(200, 0.0002, 0.01);
  const nanoseconds = ((performance.now() - startedAt) / rounds) * 1e6;
  t.comment(`${nanoseconds.toFixed(0)} ns for a request`);
  t.ok(nanoseconds < 3000, 'a request is counted in well under 3 µs');
});
