/** Clients that flood a connection of HTTP/2: they are ended, and somebody else meanwhile notices nothing. */
import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import tap, { type Test, test } from 'tap';
import {
  block,
  fieldsOf,
  FLAG,
  FRAME,
  frame,
  FrameClient,
  getFrame,
  integer,
  settings,
  text,
  word,
} from '../support/frame-client.ts';
import { GoodClient } from '../support/good-client.ts';
import { openPolicy, regionOf } from '../support/open-policy.ts';
import { startRecordingUpstream } from '../support/recording-upstream.ts';
import { startGateway } from '../support/start-gateway.ts';

const END = FLAG.endHeaders | FLAG.endStream;
/** What a good client may wait for an answer. */
const WAIT_MS = 200;
const ROUNDS = 4;
const BIG = Buffer.alloc(2_000_000, 'x');

const upstream = await startRecordingUpstream((request, response) => {
  if (request.url === '/big') response.end(BIG);
  else if (request.url !== '/never') response.end('ok');
});
const gateway = await startGateway(
  openPolicy(regionOf('home', upstream.origin), 'body_idle_timeout: 1s, header_timeout: 1s').replace(
    'upstream_timeout: 1s',
    'upstream_timeout: 20s',
  ),
);
const good = await GoodClient.start(gateway);
tap.teardown(async () => {
  await good.stop();
  await gateway.program.stop();
  await upstream.close();
});

/**
 * Has something happen while somebody good asks. The machine that tests run on is busy with other things too: what the
 * client waits when nothing happens is allowed for, and a wait counts only if it comes every time.
 */
async function quietly(t: Test, something: () => Promise<unknown>): Promise<void> {
  let overMs = Infinity;
  for (let round = 0; round < ROUNDS && overMs >= WAIT_MS; round += 1) {
    const quiet = await good.during(() => pause(150));
    const waits = await good.during(something);
    t.strictSame(waits.failures, []);
    overMs = waits.longestMs - 4 * quiet.longestMs;
    t.comment(`waits of ${Math.round(waits.longestMs)} ms, of ${Math.round(quiet.longestMs)} ms before`);
  }
  t.ok(overMs < WAIT_MS, `the good client waited ${Math.round(overMs)} ms`);
}

/** Writes the same bytes as fast as they are taken, until the connection ends or the time is over. */
async function pour(client: FrameClient, bytes: Buffer | (() => Buffer), forMs = 1000): Promise<void> {
  const untilMs = performance.now() + forMs;
  while (!client.isClosed && performance.now() < untilMs) {
    const hasRoom = client.socket.write(typeof bytes === 'function' ? bytes() : bytes);
    if (!hasRoom)
      await Promise.race([new Promise((resolve) => client.socket.once('drain', resolve)), pause(50)]);
    // The good client lives in this very process.
    await pause(1);
  }
}

function repeat(bytes: Buffer, times: number): Buffer {
  return Buffer.concat(Array.from({ length: times }, () => bytes));
}

function residentMb(): number {
  const line = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${gateway.program.pid}/status`, 'utf8'));
  return Number(line?.[1]) / 1024;
}

/** Streams that follow each other; each call makes so many more. */
function streamsOf(count: number, of: (stream: number) => Buffer): () => Buffer {
  let next = 1;
  return () => {
    const made = Array.from({ length: count }, (_, index) => of(next + 2 * index));
    next += 2 * count;
    return Buffer.concat(made);
  };
}

const RESET = word(8);
/** Floods that end their connection. */
const ended: readonly (readonly [title: string, make: () => Buffer | (() => Buffer), before?: Buffer])[] = [
  [
    'streams that are reset at once',
    () =>
      streamsOf(50, (stream) =>
        Buffer.concat([getFrame(stream, '/never'), frame(FRAME.reset, 0, stream, RESET)]),
      ),
  ],
  [
    'streams that make the gateway reset them',
    () =>
      streamsOf(50, (stream) =>
        Buffer.concat([
          frame(FRAME.headers, FLAG.endHeaders, stream, block(fieldsOf('/never', 'POST'))),
          frame(FRAME.headers, FLAG.endHeaders, stream, block([['x', 'y']])),
        ]),
      ),
  ],
  ['streams beyond those that may be open', () => streamsOf(50, (stream) => getFrame(stream, '/never'))],
  [
    'malformed heads',
    () => streamsOf(50, (stream) => frame(FRAME.headers, END, stream, block([[':method', 'GET']]))),
  ],
  [
    'CONTINUATION frames',
    () => repeat(frame(FRAME.continuation, 0, 1, block([['x-a', 'b'.repeat(1000)]])), 30),
    frame(FRAME.headers, FLAG.endStream, 1, block(fieldsOf('/case'))),
  ],
  [
    'CONTINUATION frames of nothing',
    () => repeat(frame(FRAME.continuation, 0, 1), 1000),
    frame(FRAME.headers, FLAG.endStream, 1, block(fieldsOf('/case'))),
  ],
  ['SETTINGS frames', () => repeat(settings([3, 100]), 500)],
  ['SETTINGS frames of nothing', () => repeat(settings(), 1000)],
  ['PING frames', () => repeat(frame(FRAME.ping, 0, 0, Buffer.alloc(8)), 500)],
  [
    'changes of the window of all streams',
    () => repeat(Buffer.concat([settings([4, 1]), settings([4, 60_000])]), 300),
  ],
  // Frames that nobody has to answer.
  ['PRIORITY frames', () => repeat(frame(FRAME.priority, 0, 1, Buffer.alloc(5)), 1000)],
  ['WINDOW_UPDATE frames', () => repeat(frame(FRAME.window, 0, 0, word(1)), 1000)],
  ['frames of an unknown type', () => repeat(frame(77, 0, 0, Buffer.alloc(64)), 1000)],
  [
    'DATA frames of nothing',
    () => repeat(frame(FRAME.data, 0, 1), 1000),
    frame(FRAME.headers, FLAG.endHeaders, 1, block(fieldsOf('/never', 'POST'))),
  ],
];

for (const [title, make, before = Buffer.alloc(0)] of ended)
  await test(`a flood of ${title} ends its connection and holds up nobody`, async (t) => {
    const arrived = () => upstream.requests.filter(({ url }) => url === '/never').length;
    await quietly(t, async () => {
      const arrivedBefore = arrived();
      const client = await FrameClient.open(gateway);
      client.isPolite = false;
      client.send(before);
      await pour(client, make(), 4000);
      t.ok(client.isClosed, 'the connection has ended');
      t.ok(arrived() - arrivedBefore <= 400, `${arrived() - arrivedBefore} requests arrived`);
      client.close();
    });
  });

await test('a flood of small heads that unpack to large ones ends its connection and holds up nobody', async (t) => {
  const entry = Buffer.concat([Buffer.from([0x40]), text('x-bomb'), text('b'.repeat(4000))]);
  const bomb = Buffer.concat([block(fieldsOf('/bomb')), Buffer.alloc(15_000, integer(62, 7, 0x80))]);
  const beforeMb = residentMb();
  await quietly(t, async () => {
    const client = await FrameClient.open(gateway, settings());
    client.send(frame(FRAME.headers, END, 1, Buffer.concat([block(fieldsOf('/case')), entry])));
    await pour(
      client,
      streamsOf(1, (stream) => frame(FRAME.headers, END, stream + 2, bomb)),
      4000,
    );
    t.ok(client.isClosed, 'the connection has ended');
    client.close();
  });
  t.notOk(
    upstream.requests.some(({ url }) => url === '/bomb'),
    'no such request arrived',
  );
  t.ok(residentMb() - beforeMb < 100, `${Math.round(residentMb() - beforeMb)} MB more`);
});

await test('answers that a closed window holds up are given up in time, large and small', async (t) => {
  const beforeMb = residentMb();
  const streams = Array.from({ length: 60 }, (_, index) => 2 * index + 1);
  await quietly(t, async () => {
    const clients = await Promise.all([1, 2].map(() => FrameClient.open(gateway, settings([1, 0], [4, 0]))));
    for (const client of clients)
      for (const stream of streams) client.send(getFrame(stream, stream % 4 === 1 ? '/big' : '/small'));
    for (const client of clients) {
      const isOver = () => streams.every((stream) => client.isOver(stream));
      await client.until(isOver, 'the end of all streams', 10_000);
      client.close();
    }
  });
  t.ok(residentMb() - beforeMb < 150, `${Math.round(residentMb() - beforeMb)} MB more`);
});

await test('a connection that is kept alive by PING alone, or has half a head, is closed after header_timeout', async (t) => {
  const pinging = await FrameClient.open(gateway);
  const half = await FrameClient.open(gateway);
  half.send(frame(FRAME.headers, FLAG.endStream, 1, block(fieldsOf('/case'))));
  const ping = setInterval(() => pinging.send(frame(FRAME.ping, 0, 0, Buffer.alloc(8))), 100);
  await pinging.until(() => pinging.isClosed && half.isClosed, 'the end of both', 10_000);
  clearInterval(ping);
  t.pass();
});

await test('none of this was news to the process', (t) => {
  t.notMatch(gateway.program.output.stderr, /unhandled|uncaught|Warning:|TypeError/i);
  t.end();
});
