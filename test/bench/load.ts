/**
 * The load generator, a program of its own: persons with cookie jars in a closed loop on keep-alive connections.
 * It is told what to do over the channel to its parent (see `load-driver.ts`).
 *
 * Usage: forked with `PROTOCOL PORT EXPECTED_BODY`
 */
import { CookieJar } from './cookie-jar.ts';
import type { LoadConnection } from './h1-connection.ts';
import { H1Connection } from './h1-connection.ts';
import { H2Connection } from './h2-connection.ts';
import type { LoadAnswer, LoadOrder } from './load-driver.ts';

const [protocol = 'h1', portText = '0', expectedText = ''] = process.argv.slice(2);
const port = Number(portText);
const expected = Buffer.from(expectedText, 'utf8');

interface Person {
  readonly connection: LoadConnection;
  readonly jar: CookieJar;
}

const people: Person[] = [];
const idle: LoadConnection[] = [];
let strangers = 0;

async function open(): Promise<LoadConnection> {
  return protocol === 'h2' ? H2Connection.open(port, expected) : H1Connection.open(port, expected);
}

async function inLanes(lanes: number, total: number, step: (lane: number) => Promise<void>): Promise<void> {
  let left = total;
  const lane = async (at: number): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await step(at);
    }
  };
  await Promise.all(Array.from({ length: lanes }, (_, at) => lane(at)));
}

/** One person per connection signs in, as one browser per connection would. */
async function signIn(connections: number): Promise<void> {
  for (let at = 0; at < connections; at += 1) {
    const person = { connection: await open(), jar: new CookieJar() };
    await person.connection.signIn(person.jar, `person-${at}`);
    people.push(person);
  }
}

async function bringKey(connections: number, key: string): Promise<void> {
  const stranger = await open();
  const isLetIn = await stranger.fetchData(new CookieJar()).then(
    () => true,
    () => false,
  );
  stranger.close();
  if (isLetIn) throw new Error('a stranger without a key was let in');
  for (let at = 0; at < connections; at += 1)
    people.push({ connection: await open(), jar: new CookieJar(`x-api-key: ${key}\r\n`) });
}

async function fetchAll(requests: number, concurrency: number): Promise<void> {
  await inLanes(concurrency, requests, async (lane) => {
    const person = people[lane % people.length];
    if (person === undefined) throw new Error('nobody has signed in');
    await person.connection.fetchData(person.jar);
  });
}

async function proveGuarded(): Promise<void> {
  const [person] = people;
  if (person === undefined) throw new Error('nobody has signed in');
  await person.connection.fetchData(person.jar);
  const stranger = await open();
  const letIn = await stranger.fetchData(new CookieJar()).then(
    () => true,
    () => false,
  );
  stranger.close();
  if (letIn) throw new Error('a stranger without a session was let in');
  if (!person.jar.header.includes('__Host-') || person.jar.header.includes('CRMSESSID')) {
    throw new Error(`the person holds other cookies than the gateway's: ${person.jar.header}`);
  }
}

/** Opens connections that each make one request and then stay idle. */
async function openIdle(connections: number): Promise<void> {
  const jar = people[0]?.jar ?? new CookieJar();
  await inLanes(16, connections, async () => {
    const connection = await open();
    idle.push(connection);
    await connection.fetchData(jar);
  });
}

/** Signs in new persons over the open connections; their cookies are forgotten, their sessions stay. */
async function signInStrangers(count: number): Promise<void> {
  await inLanes(people.length, count, async (lane) => {
    strangers += 1;
    await people[lane]?.connection.signIn(new CookieJar(), `stranger-${strangers}`);
  });
}

async function carryOut(order: LoadOrder): Promise<void> {
  if (order.kind === 'sign-in') return signIn(order.connections);
  if (order.kind === 'bring-key') return bringKey(order.connections, order.key);
  if (order.kind === 'prove-guarded') return proveGuarded();
  if (order.kind === 'fetch') return fetchAll(order.requests, order.concurrency);
  if (order.kind === 'open-idle') return openIdle(order.connections);
  return signInStrangers(order.count);
}

async function obey(order: LoadOrder): Promise<LoadAnswer> {
  const started = performance.now();
  try {
    await carryOut(order);
    let rotations = 0;
    for (const person of people) rotations += person.jar.rotations;
    const wallMs = performance.now() - started;
    return { ok: true, wallMs, rotations, cipher: people[0]?.connection.cipher ?? '' };
  } catch (error) {
    return { ok: false, error: error instanceof Error ? error.message : String(error) };
  }
}

process.on('message', (order: LoadOrder) => {
  void obey(order).then((answer) => process.send?.(answer));
});
// The parent is gone or done: nothing of this process is worth keeping.
process.on('disconnect', () => process.exit(0));
