/**
 * What many sessions and many connections cost. See `usage`; the figures are in `docs/scale.md`.
 */
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { createMasterKey } from '../../gateway/crypto/keyring.ts';
import { type RedisServer, startRedis } from '../support/redis-servers.ts';
import { type Child, scratch } from './children.ts';
import type { CookieJar } from './cookie-jar.ts';
import { H1Connection } from './h1-connection.ts';
import { cpuMicroseconds, processTree, residentBytes } from './process-meter.ts';
import { weighConnections } from './scale-connections.ts';
import { seedSessions } from './scale-seed.ts';
import { startSurroundings } from './surroundings.ts';
import { table } from './table.ts';
import { publicPort, type Surroundings } from './target.ts';
import { startZasov } from './zasov-target.ts';

const usage = `npm run bench:scale -- [options]

  --sessions A,B,C   sessions in the store (1000,100000,1000000)
  --store KIND       redis or embedded (redis)
  --rounds N         rounds, levels in turn (5)
  --requests N       measured requests per round and level (20000)
  --connections N    idle TLS connections (5000); 0 leaves connections out
  --sockets N        WebSockets (500)
`;

/** Sessions that are in use while the others only lie in the store. */
const IN_USE = 500;
const LANES = 32;

interface Level {
  readonly sessions: number;
  readonly seedSeconds: number;
  readonly gateway: Child;
  readonly pids: readonly number[];
  readonly server: RedisServer | undefined;
  readonly warm: readonly CookieJar[];
  readonly cold: CookieJar[];
  readonly expected: Buffer;
}

interface Round {
  readonly warmUs: number;
  readonly coldUs: number;
  readonly trips: number;
  readonly serverColdUs: number;
}

async function openLevel(
  around: Surroundings,
  store: string,
  sessions: number,
  coldPerLevel: number,
): Promise<Level> {
  const data = mkdtempSync(join(scratch, 'scale-'));
  const masterKey = createMasterKey();
  mkdirSync(join(data, 'var'), { mode: 0o700 });
  writeFileSync(join(data, 'var', 'master.key'), masterKey, { mode: 0o600 });
  const server = store === 'redis' ? await startRedis() : undefined;
  const place = server === undefined ? { file: join(data, 'var', 'sessions.db') } : { redis: server.url };
  const began = performance.now();
  const kept = Math.min(sessions, IN_USE + coldPerLevel);
  const jars = await seedSessions(place, masterKey, sessions, kept);
  const seedSeconds = (performance.now() - began) / 1000;
  const more = server === undefined ? '' : `store: { kind: redis, url: "${server.url}" }\n`;
  const gateway = await startZasov(around, { logLevel: 'info', data, more });
  const pids = processTree(gateway.pid);
  const expected = Buffer.from(around.expected);
  const [warm, cold] = [jars.slice(0, IN_USE), jars.slice(IN_USE)];
  return { sessions, seedSeconds, gateway, pids, server, expected, warm, cold };
}

/** New ones for each measurement: idle ones would be closed while another level is filled or measured. */
async function openLanes({ gateway, expected }: Level): Promise<H1Connection[]> {
  const port = publicPort(gateway);
  return await Promise.all(Array.from({ length: LANES }, () => H1Connection.open(port, expected)));
}

/** Asks in turn with each jar, one request at a time on each connection. */
async function ask(
  connections: readonly H1Connection[],
  jars: readonly CookieJar[],
  requests: number,
): Promise<void> {
  let next = 0;
  await Promise.all(
    connections.map(async (connection) => {
      while (next < requests) {
        const jar = jars[next++ % jars.length];
        if (jar !== undefined) await connection.fetchData(jar);
      }
    }),
  );
}

async function storeQuestions({ gateway }: Level): Promise<number> {
  const { ops } = gateway.ready['listeners'] as { ops: string };
  const text = await (await fetch(`${ops}/metrics`)).text();
  const counts = [...text.matchAll(/^zasov_store_seconds_count\S* (\d+)/gm)];
  return counts.reduce((sum, [, count]) => sum + Number(count), 0);
}

async function measure(level: Level, requests: number, coldRequests: number): Promise<Round> {
  const lanes = await openLanes(level);
  // The first request of each session after a while asks the store; the steady state comes after it.
  await ask(lanes, level.warm, level.warm.length * 4);
  const before = await storeQuestions(level);
  const warmFrom = cpuMicroseconds(level.pids);
  await ask(lanes, level.warm, requests);
  const warmUs = (cpuMicroseconds(level.pids) - warmFrom) / requests;
  const trips = ((await storeQuestions(level)) - before) / requests;
  const cold = level.cold.splice(0, coldRequests);
  const serverPids = level.server === undefined ? [] : [level.server.pid];
  const [coldFrom, serverFrom] = [cpuMicroseconds(level.pids), cpuMicroseconds(serverPids)];
  await ask(lanes, cold, cold.length);
  for (const lane of lanes) lane.close();
  const each = Math.max(1, cold.length);
  return {
    warmUs,
    trips,
    coldUs: (cpuMicroseconds(level.pids) - coldFrom) / each,
    serverColdUs: (cpuMicroseconds(serverPids) - serverFrom) / each,
  };
}

/** What the work on a timer and a scrape cost the gateway and the server while nobody asks for anything. */
async function restingUsPerSecond(level: Level): Promise<{ gateway: number; server: number }> {
  const serverPids = level.server === undefined ? [] : [level.server.pid];
  const [from, serverFrom] = [cpuMicroseconds(level.pids), cpuMicroseconds(serverPids)];
  const seconds = 12;
  for (let second = 0; second < seconds; second += 1) {
    await new Promise((resolve) => setTimeout(resolve, 1000));
    // Two scrapes a minute are usual; here one every four seconds.
    if (second % 4 === 0) await storeQuestions(level);
  }
  return {
    gateway: (cpuMicroseconds(level.pids) - from) / seconds,
    server: (cpuMicroseconds(serverPids) - serverFrom) / seconds,
  };
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

function spread(values: readonly number[], digits = 1): string {
  const parts = [median(values), Math.min(...values), Math.max(...values)].map((value) =>
    value.toFixed(digits),
  );
  return `${parts[0]} (${parts[1]}-${parts[2]})`;
}

function mebibytes(bytes: number): string {
  return (bytes / 1024 / 1024).toFixed(0);
}

async function usedMemory(server: RedisServer | undefined): Promise<number> {
  const info = server === undefined ? '' : String(await server.command('INFO', 'memory'));
  return Number(/used_memory:(\d+)/.exec(info)?.[1] ?? 0);
}

async function compareLevels(around: Surroundings, options: Options): Promise<void> {
  const cold = Math.min(2000, Math.floor((Math.min(...options.sessions) - IN_USE) / options.rounds));
  const levels: Level[] = [];
  for (const sessions of options.sessions) {
    levels.push(await openLevel(around, options.store, sessions, cold * options.rounds));
    process.stderr.write(`${sessions} sessions are in the store\n`);
  }
  // Of each program's first requests half are compilation.
  for (const level of levels) {
    const lanes = await openLanes(level);
    await ask(lanes, level.warm, options.requests);
    for (const lane of lanes) lane.close();
  }
  const rounds = new Map<Level, Round[]>(levels.map((level) => [level, []]));
  for (let round = 0; round < options.rounds; round += 1) {
    for (const level of levels) rounds.get(level)?.push(await measure(level, options.requests, cold));
  }
  const head = ['sessions in the store', 'known, µs', 'to the first', 'cold, µs', 'trips a request'];
  const rows = [
    [...head, 'Redis cold, µs', 'gateway MiB', 'store MiB', 'at rest µs/s', 'Redis µs/s', 'filled in s'],
  ];
  const first = median((rounds.get(levels[0] as Level) ?? []).map(({ warmUs }) => warmUs));
  for (const level of levels) {
    const all = rounds.get(level) ?? [];
    const resting = await restingUsPerSecond(level);
    const warm = all.map(({ warmUs }) => warmUs);
    rows.push([
      String(level.sessions),
      spread(warm),
      `${((median(warm) / first - 1) * 100).toFixed(1)} %`,
      spread(all.map(({ coldUs }) => coldUs)),
      spread(
        all.map(({ trips }) => trips),
        4,
      ),
      spread(all.map(({ serverColdUs }) => serverColdUs)),
      mebibytes(residentBytes(level.pids)),
      mebibytes(await usedMemory(level.server)),
      resting.gateway.toFixed(0),
      resting.server.toFixed(0),
      level.seedSeconds.toFixed(0),
    ]);
  }
  process.stdout.write(`${table(rows)}\n\n`);
  for (const { gateway, server } of levels) {
    await gateway.stop();
    await server?.kill();
  }
}

type Options = ReturnType<typeof parse>;

function parse() {
  const { values } = parseArgs({
    options: {
      sessions: { type: 'string', default: '1000,100000,1000000' },
      store: { type: 'string', default: 'redis' },
      rounds: { type: 'string', default: '5' },
      requests: { type: 'string', default: '20000' },
      connections: { type: 'string', default: '5000' },
      sockets: { type: 'string', default: '500' },
      help: { type: 'boolean', default: false },
    },
  });
  return {
    help: values.help,
    store: values.store,
    sessions: values.sessions.split(',').map(Number),
    rounds: Number(values.rounds),
    requests: Number(values.requests),
    connections: Number(values.connections),
    sockets: Number(values.sockets),
  };
}

const options = parse();
if (options.help) process.stdout.write(usage);
else {
  const around = await startSurroundings();
  if (options.sessions.every((count) => count > 0)) await compareLevels(around, options);
  if (options.connections > 0) process.stdout.write(await weighConnections(around, options));
  process.exit(0);
}
