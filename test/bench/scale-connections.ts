import { setTimeout as delay } from 'node:timers/promises';
import { Agent, WebSocket } from 'undici';
import { clientOf, signIn } from '../end-to-end/small-crm-client.ts';
import type { HttpsClient } from '../support/https-client.ts';
import { smallCrmPolicy, startSmallCrm } from '../support/small-crm.ts';
import { startGateway } from '../support/start-gateway.ts';
import { LoadDriver, type Protocol } from './load-driver.ts';
import { cpuMicroseconds, processTree, residentBytes } from './process-meter.ts';
import { table } from './table.ts';
import { publicPort, type Surroundings } from './target.ts';
import { startZasov } from './zasov-target.ts';

/** How many of each. */
export interface ConnectionCounts {
  readonly connections: number;
  readonly sockets: number;
}

const SETTLE_MS = 3000;
const REST_SECONDS = 10;
const PEOPLE = 50;

interface Weight {
  readonly bytesEach: number;
  readonly restingBytes: number;
  readonly usPerSecond: number;
}

/** Measures what so many idle TLS connections, and so many WebSockets of signed-in people, cost one worker. */
export async function weighConnections(around: Surroundings, counts: ConnectionCounts): Promise<string> {
  const rows = [['on one worker', 'number', 'KiB each', 'gateway before, MiB', 'CPU at rest, µs/s']];
  const add = (name: string, count: number, { bytesEach, restingBytes, usPerSecond }: Weight) =>
    rows.push([
      name,
      String(count),
      (bytesEach / 1024).toFixed(1),
      (restingBytes / 1024 / 1024).toFixed(0),
      usPerSecond.toFixed(0),
    ]);
  for (const protocol of ['h1', 'h2'] as const) {
    add(`idle TLS connections, ${protocol}`, counts.connections, await weighIdle(around, protocol, counts));
  }
  add('WebSockets', counts.sockets, await weighSockets(counts.sockets));
  return `${table(rows)}\n`;
}

async function weighIdle(
  around: Surroundings,
  protocol: Protocol,
  counts: ConnectionCounts,
): Promise<Weight> {
  const gateway = await startZasov(around, { logLevel: 'info' });
  const load = new LoadDriver(protocol, publicPort(gateway), around.expected);
  await load.order({ kind: 'sign-in', connections: 16 });
  await load.order({ kind: 'fetch', requests: 2000, concurrency: 16 });
  await load.order({ kind: 'open-idle', connections: 100 });
  const weight = await weigh(processTree(gateway.pid), counts.connections, async () => {
    await load.order({ kind: 'open-idle', connections: counts.connections });
  });
  await load.stop();
  await gateway.stop();
  return weight;
}

async function weighSockets(count: number): Promise<Weight> {
  const crm = await startSmallCrm();
  const gateway = await startGateway(smallCrmPolicy(crm.origin));
  const dispatcher = new Agent({ connect: { ca: gateway.ca, servername: 'localhost' } });
  const people: HttpsClient[] = [];
  for (let number = 0; number < PEOPLE; number += 1) {
    const person = clientOf(gateway);
    await signIn(person, `person-${number}`);
    people.push(person);
  }
  const open = (person: HttpsClient | undefined): Promise<WebSocket> =>
    new Promise((resolve, reject) => {
      const headers = { cookie: person?.jar.header() ?? '', 'user-agent': 'zasov-test' };
      const socket = new WebSocket(`wss://127.0.0.1:${gateway.port}/live`, { dispatcher, headers });
      socket.addEventListener('open', () => resolve(socket));
      socket.addEventListener('error', () => reject(new Error('a WebSocket was refused')));
    });
  const sockets: WebSocket[] = [];
  const openMany = async (wanted: number): Promise<void> => {
    for (let number = 0; number < wanted; number += 1) sockets.push(await open(people[number % PEOPLE]));
  };
  await openMany(PEOPLE);
  const weight = await weigh(processTree(gateway.program.pid), count, () => openMany(count));
  await dispatcher.destroy();
  for (const person of people) person.close();
  await gateway.program.stop();
  await crm.close();
  return weight;
}

async function weigh(pids: readonly number[], count: number, open: () => Promise<void>): Promise<Weight> {
  await delay(SETTLE_MS);
  const restingBytes = residentBytes(pids);
  await open();
  await delay(SETTLE_MS);
  const bytesEach = (residentBytes(pids) - restingBytes) / count;
  const from = cpuMicroseconds(pids);
  await delay(REST_SECONDS * 1000);
  return { bytesEach, restingBytes, usPerSecond: (cpuMicroseconds(pids) - from) / REST_SECONDS };
}
