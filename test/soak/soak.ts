/**
 * Many clients and slow ones for real: `npm run soak [-- CONNECTIONS]`, ten thousand by default, about two minutes. Says
 * for each phase what a good client waited meanwhile, how the memory of the gateway grew, and what was refused; ends with
 * exit code 1 when the good client waited 100 ms more than usual in the hundredth that waits longest, or a slow one was
 * not cut, or the gateway grew by more than 150 MB once all connections were open.
 */
/* oxlint-disable unicorn/require-post-message-target-origin -- threads have no origin */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { GoodClient } from '../support/good-client.ts';
import { openPolicy, regionOf } from '../support/open-policy.ts';
import { startRecordingUpstream } from '../support/recording-upstream.ts';
import { startGateway } from '../support/start-gateway.ts';
import type { CrowdAnswer, CrowdOrder } from './crowd-thread.ts';

const wanted = Number(process.argv[2] ?? 10_000);
const P99_MS = 100;
const GROWTH_MB = 150;

const upstream = await startRecordingUpstream();
const gateway = await startGateway(
  openPolicy(regionOf('home', upstream.origin), 'header_timeout: 5s, body_idle_timeout: 5s').replace(
    'upstream_timeout: 1s',
    'upstream_timeout: 60s',
  ),
);
const good = await GoodClient.start(gateway, 20);
const crowd = new Worker(new URL('crowd-thread.ts', import.meta.url), {
  workerData: { port: gateway.port, ca: gateway.ca },
});
const faults: string[] = [];
let usualMs: number | undefined;

try {
  await phase('nobody else', () => pause(3000));
  await phase(`${wanted} connections are opened`, () => order({ kind: 'open', count: wanted }));
  await phase(`${wanted} connections are idle`, () => pause(10_000));
  const idleMb = residentMb();
  await phase('twenty addresses open connections as fast as they can', () =>
    order({ kind: 'flood', forMs: 10_000 }),
  );
  await phase('500 heads come a byte at a time', () => order({ kind: 'drip', count: 500, of: 'head' }));
  await phase('500 bodies come a byte at a time', () => order({ kind: 'drip', count: 500, of: 'body' }));
  await phase('all of them go', async () => {
    await order({ kind: 'leave' });
    await pause(5000);
  });
  if (residentMb() > idleMb + GROWTH_MB) faults.push(`memory grew from ${idleMb} to ${residentMb()} MB`);
} finally {
  await good.stop();
  await crowd.terminate();
  await gateway.program.stop();
  await upstream.close();
}
for (const fault of faults) process.stdout.write(`FAULT ${fault}\n`);
process.exitCode = faults.length === 0 ? 0 : 1;

async function phase(what: string, something: () => Promise<unknown>): Promise<void> {
  const beganMs = performance.now();
  const { count, p99Ms, longestMs, failures } = await good.during(something);
  const seconds = (performance.now() - beganMs) / 1000;
  process.stdout.write(
    `${what}: ${seconds.toFixed(1)} s; good client p99 ${p99Ms.toFixed(1)} ms, longest ${longestMs.toFixed(0)} ms of ` +
      `${count}, ${failures.length} failed; gateway ${residentMb()} MB, ${await connectionsOf()}\n`,
  );
  // A machine that is busy with other things is so at all times.
  usualMs ??= p99Ms;
  if (p99Ms - usualMs > P99_MS) faults.push(`${what}: p99 ${p99Ms.toFixed(1)} ms`);
  if (failures.length > 0) faults.push(`${what}: ${failures[0]}`);
}

/** Has the crowd do something, and passes on what it says about it. */
async function order(wish: CrowdOrder): Promise<void> {
  crowd.postMessage(wish);
  const [{ said, fault }] = (await once(crowd, 'message')) as [CrowdAnswer];
  process.stdout.write(`  ${said}\n`);
  if (fault !== undefined) faults.push(fault);
}

async function connectionsOf(): Promise<string> {
  const text = await (await fetch(`${gateway.listeners.ops}/metrics`)).text();
  const refused = [...text.matchAll(/^zasov_connections_refused_total\{reason="(\w+)"\} (\d+)$/gm)];
  const files = /^process_open_fds (\d+)$/m.exec(text)?.[1] ?? '?';
  return [`${files} files open`, ...refused.map(([, reason, count]) => `${count} refused (${reason})`)].join(
    ', ',
  );
}

function residentMb(): number {
  const line = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${gateway.program.pid}/status`, 'utf8'));
  return Math.round(Number(line?.[1]) / 1024);
}
