/** 200 MB each way: byte for byte, while the gateway's memory stays flat. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { connect } from 'node:http2';
import { request } from 'node:https';
import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as pause } from 'node:timers/promises';
import tap, { test } from 'tap';
import { blocks, smallCrmPolicy, startSmallCrm } from '../support/small-crm.ts';
import { startGateway } from '../support/start-gateway.ts';
import { clientOf, signIn } from './small-crm-client.ts';

const BYTES = 200_000_000;
const RESIDENT_LIMIT_BYTES = 160_000_000;

const crm = await startSmallCrm();
// The first start after an install leaves compiled code behind; every later one, which is what serves, reads it.
await (await startGateway(smallCrmPolicy(crm.origin))).program.stop();
const gateway = await startGateway(smallCrmPolicy(crm.origin));
const person = clientOf(gateway);
await signIn(person, 'olga');
const expected = digestOf(blocks(BYTES));
tap.teardown(async () => {
  person.close();
  await gateway.program.stop();
  await crm.close();
});

function digestOf(chunks: Iterable<Buffer>): string {
  const hash = createHash('sha256');
  for (const chunk of chunks) hash.update(chunk);
  return hash.digest('hex');
}

async function digestOfStream(stream: Readable): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(stream, hash);
  return hash.digest('hex');
}

/** The most memory that the gateway's process ever held, as the system counted it. */
function peakResidentBytes(): number {
  const status = readFileSync(`/proc/${gateway.program.pid}/status`, 'utf8');
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
}

function http1(
  method: string,
  path: string,
  headers: Record<string, string> = {},
): ReturnType<typeof request> {
  return request({
    host: '127.0.0.1',
    port: gateway.port,
    servername: 'localhost',
    ca: gateway.ca,
    method,
    path,
    headers: {
      host: `localhost:${gateway.port}`,
      'user-agent': 'zasov-test',
      cookie: person.jar.header(),
      ...headers,
    },
  });
}

async function sendAll(to: Writable): Promise<void> {
  await pipeline(Readable.from(blocks(BYTES)), to);
}

async function textOf(stream: Readable): Promise<string> {
  let text = '';
  for await (const chunk of stream.setEncoding('utf8')) text += chunk as string;
  return text;
}

await test('HTTP/1.1 upload', async (t) => {
  const outgoing = http1('PUT', '/upload', { 'content-length': String(BYTES) });
  const response = once(outgoing, 'response') as Promise<[IncomingMessage]>;
  await sendAll(outgoing);
  const [answer] = await response;
  t.strictSame(JSON.parse(await textOf(answer)), { bytes: BYTES, sha256: expected });
});

await test('HTTP/1.1 upload in chunks of unknown number', async (t) => {
  const outgoing = http1('PUT', '/upload', { 'transfer-encoding': 'chunked' });
  const response = once(outgoing, 'response') as Promise<[IncomingMessage]>;
  await sendAll(outgoing);
  const [answer] = await response;
  t.strictSame(JSON.parse(await textOf(answer)), { bytes: BYTES, sha256: expected });
});

await test('HTTP/1.1 download', async (t) => {
  const outgoing = http1('GET', `/download?bytes=${BYTES}`).end();
  const [answer] = (await once(outgoing, 'response')) as [IncomingMessage];
  t.equal(answer.headers['content-length'], String(BYTES));
  t.equal(await digestOfStream(answer), expected);
});

await test('HTTP/2 upload and download', async (t) => {
  const session = connect(`https://localhost:${gateway.port}`, { host: '127.0.0.1', ca: gateway.ca });
  const headers = { 'user-agent': 'zasov-test', cookie: person.jar.header() };
  const up = session.request({ ':method': 'PUT', ':path': '/upload', ...headers });
  const answer = textOf(up);
  await Promise.all([sendAll(up), once(up, 'response')]);
  t.strictSame(JSON.parse(await answer), { bytes: BYTES, sha256: expected });
  const down = session.request({ ':path': `/download?bytes=${BYTES}`, ...headers });
  t.equal(await digestOfStream(down), expected);
  session.close();
});

await test('a client that stops reading holds the upstream back, not the gateway full', async (t) => {
  const outgoing = http1('GET', `/download?bytes=${BYTES}`).end();
  const [answer] = (await once(outgoing, 'response')) as [IncomingMessage];
  answer.pause();
  await pause(2000);
  t.ok(peakResidentBytes() < RESIDENT_LIMIT_BYTES);
  t.equal(await digestOfStream(answer), expected, 'and gets everything when it reads again');
});

await test('the gateway never held more than 160 MB', async (t) => {
  const peak = peakResidentBytes();
  t.comment(`peak resident memory: ${Math.round(peak / 1e6)} MB`);
  t.ok(peak > 1e6, 'the measure works');
  t.ok(peak < RESIDENT_LIMIT_BYTES);
});
