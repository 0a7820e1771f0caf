/** WebSockets and event streams live as long as their session and not a second longer. */
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { connect } from 'node:http2';
import { request } from 'node:https';
import type { Readable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import tap, { test } from 'tap';
import { Agent, WebSocket } from 'undici';
import { SESSION_COOKIE } from '../../gateway/session/session.ts';
import type { HttpsClient } from '../support/https-client.ts';
import { smallCrmPolicy, startSmallCrm } from '../support/small-crm.ts';
import { startGateway } from '../support/start-gateway.ts';
import { clientOf, signIn, whoAmI } from './small-crm-client.ts';

const crm = await startSmallCrm();
const gateway = await startGateway(smallCrmPolicy(crm.origin, '  rotate_every: 1s\n  grace: 500ms\n'));
const dispatcher = new Agent({ connect: { ca: gateway.ca, servername: 'localhost' } });
const clients: HttpsClient[] = [];
tap.teardown(async () => {
  for (const client of clients) client.close();
  await gateway.program.stop();
  await dispatcher.destroy();
  await crm.close();
});

async function newPerson(login: string): Promise<HttpsClient> {
  const client = clientOf(gateway);
  clients.push(client);
  await signIn(client, login);
  return client;
}

function headersOf(person: HttpsClient): Record<string, string> {
  return { cookie: person.jar.header(), 'user-agent': 'zasov-test' };
}

/** An open WebSocket: what it hears, and how and when it ended. */
async function openSocket(person: HttpsClient): Promise<{
  socket: WebSocket;
  ended: Promise<{ code: number; atMs: number }>;
  echo: (text: string) => Promise<unknown>;
}> {
  const socket = new WebSocket(`wss://127.0.0.1:${gateway.port}/live`, {
    dispatcher,
    headers: headersOf(person),
  });
  const ended = new Promise<{ code: number; atMs: number }>((resolve) => {
    socket.addEventListener('close', ({ code }) => resolve({ code, atMs: performance.now() }));
  });
  await new Promise((resolve, reject) => {
    socket.addEventListener('open', resolve);
    socket.addEventListener('close', ({ code }) => reject(new Error(`the handshake failed: ${code}`)));
  });
  const echo = async (text: string): Promise<unknown> => {
    const answer = new Promise((resolve) =>
      socket.addEventListener('message', ({ data }) => resolve(data), { once: true }),
    );
    socket.send(text);
    return await answer;
  };
  return { socket, ended, echo };
}

/** Reads a stream until it ends or breaks. @returns when that was, and how many events came. */
async function drain(stream: Readable): Promise<{ atMs: number; events: number }> {
  let events = 0;
  try {
    for await (const chunk of stream) events += String(chunk).split('data:').length - 1;
  } catch {
    // A stream that is cut off ends with an error; that it ends is what counts.
  }
  return { atMs: performance.now(), events };
}

async function openEvents(person: HttpsClient): Promise<IncomingMessage> {
  const outgoing = request({
    host: '127.0.0.1',
    port: gateway.port,
    servername: 'localhost',
    ca: gateway.ca,
    path: '/events',
    headers: { host: `localhost:${gateway.port}`, ...headersOf(person) },
  }).end();
  const [answer] = (await once(outgoing, 'response')) as [IncomingMessage];
  return answer;
}

function sessionIdOf(subject: string): string {
  const { stdout } = gateway.command('sessions', 'list', '--subject', subject, '--json');
  return (JSON.parse(stdout) as { id: string }[])[0]?.id ?? '';
}

await test('a WebSocket and an event stream stay open while identifiers rotate', async (t) => {
  const person = await newPerson('anna');
  const { socket, echo } = await openSocket(person);
  const events = drain(await openEvents(person));
  const values = new Set<string | undefined>();
  for (let round = 0; round < 8; round += 1) {
    t.equal(await whoAmI(person), 'anna');
    values.add(person.jar.get(SESSION_COOKIE));
    t.equal(await echo(`round ${round}`), `echo: round ${round}`);
    await pause(500);
  }
  t.ok(values.size >= 3, `${values.size} identifiers`);
  t.equal(socket.readyState, WebSocket.OPEN);
  const began = performance.now();
  gateway.command('sessions', 'revoke', sessionIdOf('anna'));
  const { events: count, atMs } = await events;
  t.ok(atMs > began && count > 20, `${count} events came`);
});

await test('revocation closes WebSocket and event streams within a second, on both sides', async (t) => {
  const person = await newPerson('boris');
  const { ended, echo } = await openSocket(person);
  t.equal(await echo('hello'), 'echo: hello');
  const events = drain(await openEvents(person));
  const session = connect(`https://localhost:${gateway.port}`, { host: '127.0.0.1', ca: gateway.ca });
  const h2Events = drain(session.request({ ':path': '/events', ...headersOf(person) }));
  await pause(300);
  t.equal(crm.openStreams(), 3);

  const id = sessionIdOf('boris');
  const result = gateway.command('sessions', 'revoke', id);
  const revokedMs = performance.now();
  t.match(result, { code: 0 });
  const { code, atMs } = await ended;
  t.equal(code, 4401);
  for (const closedMs of [atMs, (await events).atMs, (await h2Events).atMs])
    t.ok(closedMs - revokedMs < 1000, `closed after ${Math.round(closedMs - revokedMs)} ms`);
  await pause(200);
  t.equal(crm.openStreams(), 0, 'the application sees them go too');
  t.equal(await whoAmI(person), undefined);
  session.close();
});

await test('signing out in one tab closes the streams of the others', async (t) => {
  const person = await newPerson('vera');
  const { ended } = await openSocket(person);
  const events = drain(await openEvents(person));
  await person.get('/logout');
  const outMs = performance.now();
  t.equal((await ended).code, 4401);
  t.ok((await events).atMs - outMs < 1000);
});

await test('a change of password closes the streams of every device', async (t) => {
  const laptop = await newPerson('galina');
  const phone = await newPerson('galina');
  const { ended } = await openSocket(phone);
  t.equal((await laptop.post('/password', { new_password: 'another' })).status, 200);
  const changedMs = performance.now();
  const { code, atMs } = await ended;
  t.equal(code, 4401);
  t.ok(atMs - changedMs < 1000);
  t.equal(await whoAmI(phone), undefined);
});

await test('a WebSocket without a session is refused, never redirected', async (t) => {
  const socket = new WebSocket(`wss://127.0.0.1:${gateway.port}/live`, { dispatcher });
  const code = await new Promise((resolve) =>
    socket.addEventListener('close', (event) => resolve(event.code)),
  );
  t.equal(code, 1006);
  t.equal(crm.openStreams(), 0);
  const outgoing = request({
    host: '127.0.0.1',
    port: gateway.port,
    servername: 'localhost',
    ca: gateway.ca,
    path: '/live',
    headers: {
      host: `localhost:${gateway.port}`,
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
    },
  }).end();
  const [answer] = (await once(outgoing, 'response')) as [IncomingMessage];
  t.equal(answer.statusCode, 401);
  answer.resume();
});
