import { readFileSync, readdirSync, statSync } from 'node:fs';
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import type { MetricRegistry } from './metric-registry.ts';

const LAG_RESOLUTION_MS = 20;
const FILE_DESCRIPTORS = '/proc/self/fd';

/**
 * Declares the usual metrics of a process and of Node: CPU, memory, file descriptors, heap, event-loop lag and use.
 * Lag and use are those since the last scrape.
 *
 * @returns a function that stops the measuring.
 */
export function collectProcessMetrics(registry: MetricRegistry): () => void {
  const collectors = [processCollector(registry), heapCollector(registry), useCollector(registry)];
  const lag = lagCollector(registry);
  registry.onCollect(() => {
    for (const collect of collectors) collect();
    lag.collect();
  });
  return () => lag.stop();
}

function processCollector(registry: MetricRegistry): () => void {
  const total = registry
    .counter({ name: 'process_cpu_seconds_total', help: 'User and system CPU time spent.' })
    .child({});
  const user = registry.counter({ name: 'process_cpu_user_seconds_total', help: 'User CPU time.' }).child({});
  const system = registry
    .counter({ name: 'process_cpu_system_seconds_total', help: 'System CPU time.' })
    .child({});
  const resident = registry
    .gauge({ name: 'process_resident_memory_bytes', help: 'Resident memory size.' })
    .child({});
  const started = registry
    .gauge({ name: 'process_start_time_seconds', help: 'When the process began, as Unix time.' })
    .child({});
  started.set(performance.timeOrigin / 1000);
  const open = registry.gauge({ name: 'process_open_fds', help: 'Open file descriptors.' }).child({});
  const limit = registry
    .gauge({ name: 'process_max_fds', help: 'Most file descriptors that may be open.' })
    .child({});
  limit.set(fileDescriptorLimit());
  return () => {
    const cpu = process.cpuUsage();
    user.setTotal(cpu.user / 1e6);
    system.setTotal(cpu.system / 1e6);
    total.setTotal((cpu.user + cpu.system) / 1e6);
    resident.set(process.memoryUsage.rss());
    open.set(openFileDescriptors());
  };
}

function heapCollector(registry: MetricRegistry): () => void {
  const gauge = (name: string, help: string) => registry.gauge({ name, help }).child({});
  const total = gauge('nodejs_heap_size_total_bytes', 'Heap taken from the system.');
  const used = gauge('nodejs_heap_size_used_bytes', 'Heap in use.');
  const external = gauge(
    'nodejs_external_memory_bytes',
    'Memory of objects outside the heap, buffers included.',
  );
  const version = { name: 'nodejs_version_info', help: 'Version of Node.', labels: ['version'] as const };
  registry.gauge(version).child({ version: process.version }).set(1);
  return () => {
    const memory = process.memoryUsage();
    total.set(memory.heapTotal);
    used.set(memory.heapUsed);
    external.set(memory.external);
  };
}

function useCollector(registry: MetricRegistry): () => void {
  const use = registry
    .gauge({
      name: 'nodejs_eventloop_utilization_ratio',
      help: 'Share of time that the event loop was busy.',
    })
    .child({});
  let last = performance.eventLoopUtilization();
  return () => {
    const now = performance.eventLoopUtilization();
    use.set(performance.eventLoopUtilization(now, last).utilization);
    last = now;
  };
}

function lagCollector(registry: MetricRegistry): { collect(): void; stop(): void } {
  const gauge = (name: string, what: string) =>
    registry
      .gauge({ name: `nodejs_eventloop_lag_${name}seconds`, help: `Event-loop lag, ${what}.` })
      .child({});
  const mean = gauge('mean_', 'mean');
  const max = gauge('max_', 'highest');
  const p50 = gauge('p50_', 'median');
  const p99 = gauge('p99_', '99th percentile');
  const histogram = monitorEventLoopDelay({ resolution: LAG_RESOLUTION_MS });
  histogram.enable();
  // The histogram holds the time between two ticks of its own timer, so that the timer's period counts as lag.
  const lag = (nanoseconds: number): number =>
    Number.isFinite(nanoseconds) ? Math.max(nanoseconds / 1e9 - LAG_RESOLUTION_MS / 1000, 0) : 0;
  return {
    collect() {
      mean.set(lag(histogram.mean));
      max.set(lag(histogram.max));
      p50.set(lag(histogram.percentile(50)));
      p99.set(lag(histogram.percentile(99)));
      histogram.reset();
    },
    stop: () => void histogram.disable(),
  };
}

/** Linux 6.2 and later give the number as the directory's size; before that, the directory is read. 0 where none is. */
function openFileDescriptors(): number {
  try {
    return statSync(FILE_DESCRIPTORS).size || readdirSync(FILE_DESCRIPTORS).length;
  } catch {
    return 0;
  }
}

function fileDescriptorLimit(): number {
  try {
    const line = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'));
    return Number(line?.[1] ?? Number.NaN);
  } catch {
    return Number.NaN;
  }
}
