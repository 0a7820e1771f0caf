/**
 * Fuzzing for as long as one likes: `npm run fuzz [-- SECONDS [SEED]]`, a minute by default. Three things in turn: targets
 * against the guard and the route matcher, heads and bodies of HTTP/1.1 made of all conformance cases, and frames of
 * HTTP/2, the last two against a running gateway whose upstream reads by the letter. Ends with exit code 1 at the first
 * fault, and says with which seed it comes again.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cases } from '../end-to-end/wire-cases/all-cases.ts';
import { block, fieldsOf, FLAG, FRAME, frame, FrameClient, settings } from '../support/frame-client.ts';
import { openPolicy, regionOf } from '../support/open-policy.ts';
import { check, property } from '../support/property-based.ts';
import { startGateway } from '../support/start-gateway.ts';
import { faultsOf, startStrictUpstream } from '../support/strict-upstream.ts';
import { Wire } from '../support/wire.ts';
import { FUZZED_POLICY, misread, snapshotOf, targets } from './readings.ts';

const seconds = Number(process.argv[2] ?? 60);
const seed = Number(process.argv[3] ?? Date.now() % 1_000_000_007);
const random = xorshift(seed);
const untilMs = performance.now() + seconds * 1000;

const PIECES = [
  '\r\n',
  '\n',
  '\r',
  '\0',
  ' ',
  '\t',
  ':',
  ';',
  ',',
  '0',
  '-',
  '+',
  '\x0b',
  '\xff',
  'chunked',
  'GET / HTTP/1.1\r\n',
];
const LINES = [
  'Content-Length: 5',
  'Transfer-Encoding: chunked',
  'Host: other',
  'Connection: host',
  'X-Zasov-Subject: boss',
  'Expect: 100-continue',
  'Upgrade: websocket',
  ' folded',
];

const upstream = await startStrictUpstream();
const gateway = await startGateway(
  openPolicy(regionOf('home', upstream.origin), 'connections_per_client: 1000000, header_timeout: 1s'),
);
const counts = { targets: 0, messages: 0, connections: 0, arrived: 0 };
const file = join(gateway.data, 'fuzzed.yaml');
writeFileSync(file, FUZZED_POLICY);
const snapshot = snapshotOf(file);
let fault: string | undefined;
try {
  while (performance.now() < untilMs && fault === undefined) {
    fault = fuzzTargets();
    for (let round = 0; round < 40 && fault === undefined; round += 1) fault = await fuzzMessage();
    for (let round = 0; round < 20 && fault === undefined; round += 1) fault = await fuzzFrames();
  }
} finally {
  counts.arrived = upstream.requests.length;
  await gateway.program.stop();
  await upstream.close();
}
process.stdout.write(`${JSON.stringify({ seconds, seed, ...counts, fault: fault ?? null })}\n`);
process.exitCode = fault === undefined ? 0 : 1;

function fuzzTargets(): string | undefined {
  const numRuns = 20_000;
  counts.targets += numRuns;
  const result = check(
    property(targets, (target) => misread(snapshot, target) === undefined),
    { numRuns, seed: Math.floor(random() * 1e9) },
  );
  return result.failed ? `a target: ${JSON.stringify(result.counterexample)}` : undefined;
}

async function fuzzMessage(): Promise<string | undefined> {
  const bytes = mutate(pick(cases).bytes);
  counts.messages += 1;
  const before = upstream.requests.length;
  const wire = await Wire.open(gateway);
  wire.send(bytes);
  await Promise.race([wire.closed(1000).catch(() => undefined), settled(wire)]);
  wire.close();
  return await judge(`the bytes ${JSON.stringify(bytes.slice(0, 2000))}`, before);
}

async function fuzzFrames(): Promise<string | undefined> {
  const made: Buffer[] = [];
  for (let count = 1 + Math.floor(random() * 8); count > 0; count -= 1) made.push(randomFrame());
  counts.connections += 1;
  const before = upstream.requests.length;
  const client = await FrameClient.open(gateway);
  client.send(...made);
  await new Promise((resolve) => setTimeout(resolve, 20));
  client.close();
  return await judge(`the frames ${Buffer.concat(made).toString('hex').slice(0, 2000)}`, before);
}

/** Whether the upstream got anything that it must not, and whether the gateway still answers. */
async function judge(what: string, before: number): Promise<string | undefined> {
  const [violation] = upstream.violations;
  if (violation !== undefined) return `${what}: the upstream got ${violation}`;
  const [wrong] = upstream.requests.slice(before).flatMap(faultsOf);
  if (wrong !== undefined) return `${what}: ${wrong}`;
  if (/unhandled|uncaught|TypeError/i.test(gateway.program.output.stderr)) return `${what}: an error of ours`;
  const wire = await Wire.open(gateway);
  wire.send('GET /alive HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
  const { status } = await wire.answer();
  wire.close();
  return status === 200 ? undefined : `${what}: after it the gateway answers ${status}`;
}

/** Resolves when nothing new has come for a moment. */
async function settled(wire: Wire): Promise<void> {
  let length = -1;
  while (wire.received.length !== length) {
    length = wire.received.length;
    await new Promise((resolve) => setTimeout(resolve, 15));
  }
}

function mutate(text: string): string {
  let bytes = text;
  for (let count = Math.floor(random() * 4); count > 0; count -= 1) {
    const at = Math.floor(random() * bytes.length);
    const to = Math.min(bytes.length, at + 1 + Math.floor(random() * 8));
    const kind = Math.floor(random() * 6);
    if (kind === 0) bytes = bytes.slice(0, at) + bytes.slice(to);
    else if (kind === 1) bytes = bytes.slice(0, at) + pick(PIECES) + bytes.slice(at);
    else if (kind === 2) bytes = bytes.slice(0, at) + pick(PIECES) + bytes.slice(to);
    else if (kind === 3) bytes = bytes.slice(0, to) + bytes.slice(at);
    else if (kind === 4) bytes = bytes.replace('\r\n', `\r\n${pick(LINES)}\r\n`);
    else bytes += pick(cases).bytes;
  }
  return bytes;
}

function randomFrame(): Buffer {
  const type = Math.floor(random() * 11);
  const stream = pick([0, 1, 1, 1, 3, 3, 5, 2, 0x7fffffff]);
  const flags = pick([0, 1, 4, 5, 5, 5, 8, 12, 13, 32, 37, 45, 255]);
  if (random() < 0.4) {
    const fields = fieldsOf(mutate('/case?a=b'));
    if (random() < 0.5) fields.push([mutate('x-a'), mutate('value')]);
    if (random() < 0.2) fields.splice(Math.floor(random() * fields.length), 1);
    return frame(
      FRAME.headers,
      random() < 0.7 ? FLAG.endHeaders | FLAG.endStream : flags,
      stream,
      block(fields),
    );
  }
  if (random() < 0.1) return settings([Math.floor(random() * 9), Math.floor(random() * 2 ** 32)]);
  const payload = Buffer.from(
    Array.from({ length: Math.floor(random() * 40) }, () => Math.floor(random() * 256)),
  );
  return frame(type, flags, stream, payload, random() < 0.9 ? payload.length : Math.floor(random() * 20_000));
}

function pick<Item>(items: readonly Item[]): Item {
  return items[Math.floor(random() * items.length)] as Item;
}

/** The same numbers for the same seed. */
function xorshift(start: number): () => number {
  let state = start === 0 ? 1 : start;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}
