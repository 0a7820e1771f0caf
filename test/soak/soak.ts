/**
 * Many clients and slow ones for real: `npm run soak [-- CONNECTIONS]`, ten thousand by default, about two minutes. Says
 * for each phase what a good client waited meanwhile, how the memory of the gateway grew, and what was refused; ends with
 * exit code 1 when the good client waited 100 ms more than usual in the hundredth that waits longest, or a slow one was
 * not cut.
 */
import { readFileSync } from 'node:fs';
import { connect as connectPlain } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { connect, type TLSSocket } from 'node:tls';
import { GoodClient } from '../support/good-client.ts';
import { openPolicy, regionOf } from '../support/open-policy.ts';
import { startRecordingUpstream } from '../support/recording-upstream.ts';
import { startGateway } from '../support/start-gateway.ts';

const wanted = Number(process.argv[2] ?? 10_000);
const P99_MS = 100;
const HEAD = 'HTTP/1.1\r\nHost: localhost\r\n';

const upstream = await startRecordingUpstream();
const gateway = await startGateway(
  openPolicy(regionOf('home', upstream.origin), 'header_timeout: 5s, body_idle_timeout: 5s').replace(
    'upstream_timeout: 1s',
    'upstream_timeout: 60s',
  ),
);
const good = await GoodClient.start(gateway, 20);
const held: TLSSocket[] = [];
const faults: string[] = [];
let usualMs: number | undefined;

try {
  await phase('nobody else', () => pause(3000));
  await phase(`${wanted} connections are opened`, () => openIdle(wanted));
  await phase(`${held.length} connections are idle`, () => pause(10_000));
  await phase('twenty addresses open connections as fast as they can', () => flood(10_000));
  await phase('500 heads come a byte at a time', () => drip(500, `GET /slow ${HEAD}X-Drip: `));
  await phase('500 bodies come a byte at a time', () =>
    drip(500, `POST /slow ${HEAD}Content-Length: 9999\r\n\r\n`),
  );
  await phase('all of them go', async () => {
    for (const socket of held) socket.destroy();
    await pause(5000);
  });
} finally {
  await good.stop();
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

/** Each client has a hundred connections at most. */
async function openIdle(count: number): Promise<void> {
  while (held.length < count) {
    const batch = Math.min(20, count - held.length);
    const opened = await Promise.all(
      Array.from({ length: batch }, (_, index) => open(addressOf(Math.floor((held.length + index) / 100)))),
    );
    const come = opened.flatMap((socket) => socket ?? []);
    // A connection that never asks for anything is cut after header_timeout.
    for (const socket of come) socket.write(`GET /idle ${HEAD}\r\n`);
    held.push(...come);
    if (opened.includes(undefined)) await pause(50);
  }
}

async function flood(forMs: number): Promise<void> {
  const untilMs = performance.now() + forMs;
  let opened = 0;
  let refused = 0;
  const one = async (number: number) => {
    while (performance.now() < untilMs) {
      const socket = await open(`127.9.0.${number}`);
      if (socket === undefined) refused += 1;
      else opened += 1;
      socket?.destroy();
    }
  };
  await Promise.all(Array.from({ length: 20 }, (_, index) => one(index + 1)));
  process.stdout.write(`  ${opened} handshakes, ${refused} connections refused before any\n`);
}

async function drip(count: number, begin: string): Promise<void> {
  const slow = (
    await Promise.all(Array.from({ length: count }, (_, index) => open(`127.8.${index % 100}.1`)))
  ).flatMap((socket) => socket ?? []);
  for (const socket of slow) socket.write(begin);
  const beganMs = performance.now();
  const timer = setInterval(() => {
    for (const socket of slow) if (socket.writable) socket.write('x');
  }, 500);
  while (slow.some((socket) => !socket.destroyed) && performance.now() - beganMs < 30_000) await pause(50);
  clearInterval(timer);
  const left = slow.filter((socket) => !socket.destroyed).length;
  process.stdout.write(
    `  ${slow.length} cut within ${((performance.now() - beganMs) / 1000).toFixed(1)} s\n`,
  );
  if (left > 0) faults.push(`${left} slow clients were not cut`);
}

async function open(localAddress: string): Promise<TLSSocket | undefined> {
  const socket = connect({
    socket: connectPlain({ host: '127.0.0.1', port: gateway.port, localAddress }),
    ca: gateway.ca,
    servername: 'localhost',
    ALPNProtocols: ['http/1.1'],
  });
  socket.on('error', () => undefined).resume();
  return await new Promise((resolve) => {
    socket.once('secureConnect', () => resolve(socket)).once('close', () => resolve(undefined));
  });
}

function addressOf(number: number): string {
  return `127.1.${Math.floor(number / 200)}.${1 + (number % 200)}`;
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
