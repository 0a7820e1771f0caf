/** Frames of HTTP/2 that break RFC 9113 or HPACK: the right error, of the stream or of the connection, and no request. */
import tap, { test } from 'tap';
import {
  block,
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
import { openPolicy, regionOf } from '../support/open-policy.ts';
import { startGateway } from '../support/start-gateway.ts';
import { startStrictUpstream } from '../support/strict-upstream.ts';

type Fields = readonly (readonly [string, string])[];
type FrameCase = readonly [section: string, title: string, bytes: Buffer, code: number];

const PROTOCOL_ERROR = 1;
const INTERNAL_ERROR = 2;
const FLOW_CONTROL_ERROR = 3;
const FRAME_SIZE_ERROR = 6;
const COMPRESSION_ERROR = 9;

const upstream = await startStrictUpstream();
const gateway = await startGateway(openPolicy(regionOf('home', upstream.origin)));
tap.teardown(async () => {
  await gateway.program.stop();
  await upstream.close();
});

const fields = (method: string): Fields => [
  [':method', method],
  [':scheme', 'https'],
  [':authority', 'localhost'],
  [':path', '/case'],
];
const END = FLAG.endHeaders | FLAG.endStream;
const GET = block(fields('GET'));
const opened = frame(FRAME.headers, FLAG.endHeaders, 1, block(fields('POST')));
const ofLength = (length: string) =>
  frame(FRAME.headers, FLAG.endHeaders, 1, block([...fields('POST'), ['content-length', length]]));
const raw = (...bytes: readonly Buffer[]) => frame(FRAME.headers, END, 1, Buffer.concat(bytes));
const trailers = (of: Fields) => frame(FRAME.headers, END, 1, block(of));
const join = (...frames: readonly Buffer[]) => Buffer.concat(frames);

/** Frames after which the whole connection ends with an error. */
const connections: readonly FrameCase[] = [
  [
    '8.1.1',
    'more content than its length',
    join(ofLength('2'), frame(FRAME.data, FLAG.endStream, 1, Buffer.from('xyz'))),
    INTERNAL_ERROR,
  ],
  [
    '6.9.1',
    'a window of the stream that overflows',
    join(opened, frame(FRAME.window, 0, 1, word(2 ** 31 - 1))),
    FLOW_CONTROL_ERROR,
  ],
  [
    '6.9',
    'a window of the stream that grows by nothing',
    join(opened, frame(FRAME.window, 0, 1, word(0))),
    PROTOCOL_ERROR,
  ],
  ['6.1', 'DATA on no stream', frame(FRAME.data, 0, 0, Buffer.from('x')), PROTOCOL_ERROR],
  [
    '6.1',
    'DATA on a stream that was never opened',
    frame(FRAME.data, 0, 1, Buffer.from('x')),
    PROTOCOL_ERROR,
  ],
  [
    '6.1',
    'padding longer than its frame',
    join(opened, frame(FRAME.data, FLAG.padded, 1, Buffer.from([9, 1]))),
    PROTOCOL_ERROR,
  ],
  ['6.2', 'HEADERS on no stream', frame(FRAME.headers, END, 0, GET), PROTOCOL_ERROR],
  ['5.1.1', 'HEADERS on an even stream', frame(FRAME.headers, END, 2, GET), PROTOCOL_ERROR],
  ['6.10', 'CONTINUATION of nothing', frame(FRAME.continuation, FLAG.endHeaders, 1, GET), PROTOCOL_ERROR],
  [
    '6.10',
    'another frame inside a head',
    join(frame(FRAME.headers, FLAG.endStream, 1, GET), frame(FRAME.ping, 0, 0, Buffer.alloc(8))),
    PROTOCOL_ERROR,
  ],
  [
    '6.10',
    'CONTINUATION of another stream',
    join(frame(FRAME.headers, FLAG.endStream, 1, GET), frame(FRAME.continuation, FLAG.endHeaders, 3)),
    PROTOCOL_ERROR,
  ],
  ['6.3', 'PRIORITY of a wrong length', frame(FRAME.priority, 0, 1, word(0)), FRAME_SIZE_ERROR],
  ['6.4', 'RST_STREAM of a stream that was never opened', frame(FRAME.reset, 0, 1, word(8)), PROTOCOL_ERROR],
  [
    '6.4',
    'RST_STREAM of a wrong length',
    join(opened, frame(FRAME.reset, 0, 1, Buffer.alloc(3))),
    FRAME_SIZE_ERROR,
  ],
  ['6.5', 'SETTINGS on a stream', frame(FRAME.settings, 0, 1), PROTOCOL_ERROR],
  ['6.5', 'SETTINGS of a wrong length', frame(FRAME.settings, 0, 0, Buffer.alloc(5)), FRAME_SIZE_ERROR],
  [
    '6.5',
    'an acknowledgement with content',
    frame(FRAME.settings, FLAG.ack, 0, Buffer.alloc(6)),
    FRAME_SIZE_ERROR,
  ],
  ['6.5.2', 'ENABLE_PUSH of 2', settings([2, 2]), PROTOCOL_ERROR],
  ['6.5.2', 'a window beyond 31 bits', settings([4, 2 ** 31]), FLOW_CONTROL_ERROR],
  ['6.5.2', 'a frame size below the least', settings([5, 100]), PROTOCOL_ERROR],
  ['6.5.2', 'a frame size above the most', settings([5, 2 ** 24]), PROTOCOL_ERROR],
  [
    '6.6',
    'PUSH_PROMISE of a client',
    frame(FRAME.push, FLAG.endHeaders, 1, join(word(2), GET)),
    PROTOCOL_ERROR,
  ],
  ['6.7', 'PING of a wrong length', frame(FRAME.ping, 0, 0, Buffer.alloc(7)), FRAME_SIZE_ERROR],
  ['6.7', 'PING on a stream', frame(FRAME.ping, 0, 1, Buffer.alloc(8)), PROTOCOL_ERROR],
  ['6.8', 'GOAWAY on a stream', frame(FRAME.goaway, 0, 1, Buffer.alloc(8)), PROTOCOL_ERROR],
  ['6.9', 'a window that grows by nothing', frame(FRAME.window, 0, 0, word(0)), PROTOCOL_ERROR],
  ['6.9', 'WINDOW_UPDATE of a wrong length', frame(FRAME.window, 0, 0, Buffer.alloc(3)), FRAME_SIZE_ERROR],
  [
    '6.9.1',
    'a window of the connection that overflows',
    frame(FRAME.window, 0, 0, word(2 ** 31 - 1)),
    FLOW_CONTROL_ERROR,
  ],
  [
    '6.9',
    'WINDOW_UPDATE of a stream that was never opened',
    frame(FRAME.window, 0, 1, word(1)),
    PROTOCOL_ERROR,
  ],
  [
    '4.2',
    'a frame beyond the size that was agreed on',
    frame(FRAME.headers, END, 1, Buffer.alloc(16_385)),
    FRAME_SIZE_ERROR,
  ],
  ['4.3', 'HPACK: index 0', raw(Buffer.from([0x80])), COMPRESSION_ERROR],
  ['4.3', 'HPACK: an index of nothing', raw(integer(100, 7, 0x80)), COMPRESSION_ERROR],
  [
    '4.3',
    'HPACK: an index beyond all numbers',
    raw(Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f])),
    COMPRESSION_ERROR,
  ],
  ['4.3', 'HPACK: a table larger than agreed on', raw(integer(1_000_000, 5, 0x20), GET), COMPRESSION_ERROR],
  ['4.3', 'HPACK: a change of the table in the middle', raw(GET, integer(0, 5, 0x20)), COMPRESSION_ERROR],
  [
    '4.3',
    'HPACK: a string longer than its block',
    raw(Buffer.from([0]), integer(100, 7, 0), Buffer.from('x')),
    COMPRESSION_ERROR,
  ],
  [
    '4.3',
    'HPACK: Huffman padding of zeros',
    raw(GET, Buffer.from([0, 1]), Buffer.from('x'), Buffer.from([0x81, 0x00])),
    COMPRESSION_ERROR,
  ],
  [
    '4.3',
    'HPACK: the end of a string inside of it',
    raw(GET, Buffer.from([0]), text('x'), Buffer.from([0x84, 0xff, 0xff, 0xff, 0xff])),
    COMPRESSION_ERROR,
  ],
];

for (const [section, title, bytes, code] of connections)
  await test(`RFC 9113 ${section}: ${title}`, async (t) => {
    let goneWith: number | undefined;
    // What a peer says last can be lost when its connection is reset behind it.
    for (let round = 0; round < 3 && goneWith === undefined; round += 1) {
      const client = await FrameClient.open(gateway);
      const before = upstream.requests.length;
      client.send(bytes);
      await client.until(() => client.isClosed, 'the end of the connection');
      t.ok(upstream.requests.length - before <= 1);
      goneWith = client.goneWith;
    }
    t.equal(goneWith, code);
  });

/** Frames after which one stream is reset, and the connection goes on. */
const streams: readonly FrameCase[] = [
  [
    '8.1.1',
    'less content than its length',
    join(ofLength('9'), frame(FRAME.data, FLAG.endStream, 1, Buffer.from('xyz'))),
    PROTOCOL_ERROR,
  ],
  [
    '8.1',
    'a second head that is no trailer',
    join(opened, frame(FRAME.headers, FLAG.endHeaders, 1, block([['x-a', 'b']]))),
    PROTOCOL_ERROR,
  ],
  ['8.1', 'a pseudo-header in trailers', join(opened, trailers([[':path', '/denied']])), PROTOCOL_ERROR],
];

for (const [section, title, bytes, code] of streams)
  await test(`RFC 9113 ${section}: ${title}`, async (t) => {
    const client = await FrameClient.open(gateway);
    const before = upstream.requests.length;
    client.send(bytes);
    await client.until(() => client.isOver(1) || client.isClosed, 'the end of the stream');
    t.equal(client.resetOf(1), code);
    t.equal(upstream.requests.length, before, 'no whole request arrived');
    client.send(getFrame(3));
    await client.until(() => client.isOver(3), 'an answer behind it');
    t.equal(client.statusOf(3), 200);
    client.close();
  });

/** Frames that mean nothing, or the same as others: the request among them is answered. */
const harmless: readonly (readonly [section: string, title: string, bytes: Buffer])[] = [
  ['4.1', 'a frame of an unknown type', join(frame(99, 0xff, 0, Buffer.from('x')), getFrame(1))],
  ['4.1', 'flags that nobody knows', frame(FRAME.headers, END | 0xc0, 1, GET)],
  [
    '5.1.1',
    'HEADERS on a stream that was left out, which nobody hears',
    join(getFrame(1), getFrame(9), getFrame(7)),
  ],
  ['5.1.1', 'streams that leave numbers out', join(getFrame(1), getFrame(101))],
  [
    '6.2',
    'padding',
    frame(FRAME.headers, END | FLAG.padded, 1, join(Buffer.from([7]), GET, Buffer.alloc(7))),
  ],
  [
    '6.3',
    'a stream that depends on itself',
    join(frame(FRAME.priority, 0, 1, join(word(1), Buffer.from([0]))), getFrame(1)),
  ],
  ['6.5.2', 'a setting that nobody knows', join(settings([0xabc, 1]), getFrame(1))],
  [
    '6.10',
    'a head in three frames',
    join(
      frame(FRAME.headers, FLAG.endStream, 1, GET.subarray(0, 9)),
      frame(FRAME.continuation, 0, 1, GET.subarray(9, 20)),
      frame(FRAME.continuation, FLAG.endHeaders, 1, GET.subarray(20)),
    ),
  ],
  [
    '8.1',
    'trailers of a request, which go no further',
    join(opened, frame(FRAME.data, 0, 1, Buffer.from('x')), trailers([['x-zasov-subject', 'boss']])),
  ],
];

for (const [section, title, bytes] of harmless)
  await test(`RFC 9113 ${section}: ${title}`, async (t) => {
    const client = await FrameClient.open(gateway);
    client.send(bytes);
    await client.until(() => client.isOver(1) || client.isClosed, 'an answer');
    t.equal(client.statusOf(1), 200);
    t.notMatch(JSON.stringify(upstream.requests.at(-1)), /boss/);
    client.close();
  });

await test('of all frames nothing reached the upstream that is no HTTP, and none was news to the process', (t) => {
  t.strictSame(upstream.violations, []);
  t.ok(connections.length + streams.length + harmless.length >= 50);
  t.notMatch(gateway.program.output.stderr, /unhandled|uncaught|Warning:|TypeError/i);
  t.end();
});
