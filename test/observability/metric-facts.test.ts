import { test } from 'tap';
import { createGatewayMetrics } from '../../gateway/observability/gateway-metrics.ts';
import {
  lastingMetrics,
  mergeMetrics,
  type MetricFacts,
  renderMetrics,
} from '../../gateway/observability/metric-facts.ts';
import { MetricRegistry } from '../../gateway/observability/metric-registry.ts';

/** A worker's metrics after some work. */
async function worker(requests: number, isHealthy: boolean, streams: number): Promise<MetricFacts[]> {
  const registry = new MetricRegistry();
  const metrics = createGatewayMetrics(registry);
  const recorder = metrics.requestRecorder('app "x y"', 'session');
  for (let count = 0; count < requests; count += 1) recorder.record(200, 0.002, 0.2);
  metrics.nodeHealthy.child({ region: 'msk', node: 'http://n' }).set(isHealthy ? 1 : 0);
  metrics.streamsActive.child({ kind: 'websocket' }).set(streams);
  metrics.sessionsActive.set(7);
  registry.gauge({ name: 'process_max_fds', help: 'Unknown.' }).child({}).set(Number.NaN);
  // As it comes over a channel.
  return JSON.parse(JSON.stringify(await registry.facts())) as MetricFacts[];
}

function value(families: readonly MetricFacts[], series: string): number | undefined {
  return families.flatMap((family) => Object.entries(family.series)).find(([key]) => key === series)?.[1];
}

const REQUESTS = 'zasov_requests_total{route="app \\"x y\\"",access="session",status="200"}';

await test('counters and histograms of all processes add up', async (t) => {
  const merged = mergeMetrics([await worker(3, true, 0), await worker(4, true, 0)]);
  t.equal(value(merged, REQUESTS), 7);
  t.equal(value(merged, 'zasov_request_seconds_bucket{part="gateway",le="0.0025"}'), 7);
  t.equal(value(merged, 'zasov_request_seconds_bucket{part="gateway",le="0.001"}'), 0);
  t.equal(value(merged, 'zasov_request_seconds_count{part="upstream"}'), 7);
});

await test('gauges that are amounts add up; where all measure the same thing the worst counts', async (t) => {
  const merged = mergeMetrics([await worker(0, true, 2), await worker(0, false, 3)]);
  t.equal(value(merged, 'zasov_streams_active{kind="websocket"}'), 5);
  t.equal(value(merged, 'zasov_node_healthy{region="msk",node="http://n"}'), 0);
  t.equal(value(merged, 'zasov_sessions_active'), 7, 'one store, one number');
});

await test('what a process that is gone has counted stays counted; its gauges go with it', async (t) => {
  const gone = lastingMetrics(await worker(5, true, 9));
  const merged = mergeMetrics([await worker(1, true, 1), gone]);
  t.equal(value(merged, REQUESTS), 6);
  t.equal(value(merged, 'zasov_streams_active{kind="websocket"}'), 1);
});

await test('the merged text of one process is the text that it writes itself', async (t) => {
  const registry = new MetricRegistry();
  createGatewayMetrics(registry).requestRecorder('app', 'session').record(200, 0.002, 0.2);
  t.equal(renderMetrics(mergeMetrics([await registry.facts()])), await registry.render());
});

await test('a series without a number is left out', async (t) => {
  t.equal(value(await worker(0, true, 0), 'process_max_fds'), undefined);
});
