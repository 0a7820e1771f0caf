/** HTTP/2 as RFC 9113 has it, by frames: what is malformed reaches nobody, and the connection goes on where it may. */
import tap, { test } from 'tap';
import { block, FLAG, FRAME, frame, FrameClient, getFrame } from '../support/frame-client.ts';
import { openPolicy, regionOf } from '../support/open-policy.ts';
import { startGateway } from '../support/start-gateway.ts';
import { startStrictUpstream } from '../support/strict-upstream.ts';

type Fields = readonly (readonly [string, string])[];

const PROTOCOL_ERROR = 1;

const upstream = await startStrictUpstream();
const gateway = await startGateway(openPolicy(regionOf('home', upstream.origin)));
tap.teardown(async () => {
  await gateway.program.stop();
  await upstream.close();
});

const method: [string, string] = [':method', 'GET'];
const scheme: [string, string] = [':scheme', 'https'];
const authority: [string, string] = [':authority', 'localhost'];
const path: [string, string] = [':path', '/case'];
const plain: Fields = [method, scheme, authority, path];
const withField = (name: string, value: string): Fields => [...plain, [name, value]];
const withPath = (target: string): Fields => [method, scheme, authority, [':path', target]];
const withHost = (host: string): Fields => [method, scheme, [':authority', host], path];

/** Requests that are reset, or answered with a status, while their connection goes on. */
const requests: readonly (readonly [
  section: string,
  title: string,
  fields: Fields,
  outcome: number | 'reset',
])[] = [
  ['8.3.1', 'no :method', [scheme, authority, path], 'reset'],
  ['8.3.1', 'no :path', [method, scheme, authority], 'reset'],
  ['8.3.1', 'no :scheme', [method, authority, path], 'reset'],
  ['8.3.1', 'no :authority and no host', [method, scheme, path], 'reset'],
  ['8.3.1', 'an empty :authority', withHost(''), 'reset'],
  ['8.3.1', 'two :methods', [method, method, scheme, authority, path], 'reset'],
  ['8.3.1', 'two :paths', [method, scheme, authority, path, [':path', '/denied']], 'reset'],
  ['8.3.1', 'two :authorities', [method, scheme, authority, [':authority', 'other'], path], 'reset'],
  ['8.3.1', 'two :schemes', [method, scheme, scheme, authority, path], 'reset'],
  ['8.3', 'a pseudo-header behind a header', [method, scheme, authority, ['x-a', 'b'], path], 'reset'],
  ['8.3', 'a pseudo-header that nobody knows', withField(':x', 'b'), 'reset'],
  ['8.3', 'a pseudo-header of answers', [...plain.slice(0, 3), [':status', '200'], path], 'reset'],
  [
    '8.4',
    ':protocol, which was never offered',
    [[':method', 'CONNECT'], [':protocol', 'websocket'], scheme, authority, path],
    'reset',
  ],
  ['8.2.1', 'a name in capitals', withField('X-A', 'b'), 'reset'],
  ['8.2.2', 'connection', withField('connection', 'close'), 'reset'],
  ['8.2.2', 'keep-alive', withField('keep-alive', 'timeout=9'), 'reset'],
  ['8.2.2', 'proxy-connection', withField('proxy-connection', 'close'), 'reset'],
  ['8.2.2', 'transfer-encoding', withField('transfer-encoding', 'chunked'), 'reset'],
  ['8.2.2', 'upgrade', withField('upgrade', 'h2c'), 'reset'],
  ['8.2.2', 'te that is not trailers', withField('te', 'gzip'), 'reset'],
  ['8.1.1', 'a length with no content', withField('content-length', '5'), 'reset'],
  ['8.1.1', 'two lengths', [...withField('content-length', '0'), ['content-length', '0']], 'reset'],
  ['8.1.1', 'a length that is no number', withField('content-length', '5x'), 'reset'],
  ['8.1.1', 'a negative length', withField('content-length', '-1'), 'reset'],
  ['8.3.1', 'CR LF in :path', withPath('/case HTTP/1.1\r\nX-A: b'), 'reset'],
  ['8.3.1', 'a space in :path', withPath('/case x'), 'reset'],
  ['8.3.1', 'an empty :path', withPath(''), 'reset'],
  ['8.3.1', 'a high byte in :path', withPath('/\xff'), 400],
  ['8.3.1', 'a :path without a slash', withPath('case'), 'reset'],
  ['8.3.1', 'the asterisk with GET', withPath('*'), 'reset'],
  ['8.3.1', 'the asterisk with OPTIONS', [[':method', 'OPTIONS'], scheme, authority, [':path', '*']], 400],
  ['8.3.1', 'a URL for a :path', withPath('https://localhost/case'), 'reset'],
  ['8.3.1', 'a fragment in :path', withPath('/case#x'), 400],
  ['8.3.1', 'two slashes in :path', withPath('//denied'), 400],
  ['8.3.1', 'dots in :path', withPath('/a/../denied'), 400],
  ['8.3.1', 'encoded dots in :path', withPath('/a/%2e%2e/denied'), 400],
  ['8.3.1', 'an encoded slash in :path', withPath('/a%2fdenied'), 400],
  ['8.3.1', 'a backslash in :path', withPath('/a\\denied'), 400],
  ['8.3.1', 'CR LF in :method', [[':method', 'GET / HTTP/1.1\r\n'], scheme, authority, path], 'reset'],
  ['8.3.1', 'a space in :method', [[':method', 'GET x'], scheme, authority, path], 'reset'],
  ['8.3.1', 'an empty :method', [[':method', ''], scheme, authority, path], 'reset'],
  ['8.3.1', 'a :method in small letters', [[':method', 'get'], scheme, authority, path], 405],
  ['8.3.1', 'a :method that nobody knows', [[':method', 'PWN'], scheme, authority, path], 405],
  ['8.3.1', 'TRACE', [[':method', 'TRACE'], scheme, authority, path], 405],
  [
    '8.5',
    'CONNECT',
    [
      [':method', 'CONNECT'],
      [':authority', 'inside:22'],
    ],
    405,
  ],
  ['8.5', 'CONNECT with a :path', [[':method', 'CONNECT'], authority, path], 'reset'],
  [
    '8.3.1',
    'a :scheme without TLS, which TLS overrules',
    [method, [':scheme', 'http'], authority, path],
    200,
  ],
  ['8.3.1', 'a :scheme of nonsense', [method, [':scheme', 'ht\r\ntp'], authority, path], 'reset'],
  ['8.3.1', 'CR LF in :authority', withHost('localhost\r\nx: y'), 'reset'],
  ['8.3.1', 'a user in :authority', withHost('boss@localhost'), 'reset'],
  ['8.3.1', 'a path in :authority', withHost('localhost/denied'), 'reset'],
  ['8.3.1', 'a port that is no number in :authority', withHost('localhost:x'), 400],
  ['8.3.1', 'host that is not :authority', withField('host', 'other'), 400],
  ['8.3.1', 'two hosts', [...withField('host', 'localhost'), ['host', 'localhost']], 'reset'],
  ['8.3.1', 'host that is :authority', withField('host', 'localhost'), 200],
  ['8.3.1', 'host in the place of :authority', [method, scheme, path, ['host', 'localhost']], 200],
  ['8.2.2', 'te: trailers', withField('te', 'trailers'), 200],
  ['8.2.3', 'cookies in crumbs', [...withField('cookie', 'a=1'), ['cookie', 'b=2']], 200],
  ['8.2.1', 'high bytes in a value', withField('x-a', '\xd0\x9e'), 200],
  [
    '8.2.1',
    'claims about the person',
    [
      ...withField('x-zasov-subject', 'boss'),
      ['x_zasov_subject', 'boss'],
      ['x-forwarded-for', '6.6.6.6'],
      ['forwarded', 'for=6.6.6.6'],
    ],
    200,
  ],
  [
    '10.5.1',
    'more fields than anybody needs',
    [...plain, ...Array.from({ length: 270 }, (_, at): [string, string] => [`x${at}`, '1'])],
    431,
  ],
];

for (const [section, title, fields, outcome] of requests)
  await test(`RFC 9113 ${section}: ${title}`, async (t) => {
    const client = await FrameClient.open(gateway);
    const before = upstream.requests.length;
    client.send(frame(FRAME.headers, FLAG.endHeaders | FLAG.endStream, 1, block(fields)));
    await client.until(() => client.isOver(1) || client.isClosed, 'an answer');
    if (outcome === 'reset') t.equal(client.resetOf(1), PROTOCOL_ERROR);
    else t.equal(client.statusOf(1), outcome);
    const arrived = upstream.requests.slice(before);
    t.equal(arrived.length, outcome === 200 ? 1 : 0);
    t.notMatch(JSON.stringify(arrived), /denied|boss|6\.6\.6\.6/);
    client.send(getFrame(3));
    await client.until(() => client.isOver(3), 'an answer behind it');
    t.equal(client.statusOf(3), 200, 'the connection goes on');
    client.close();
  });

/** RFC 9113 section 8.2.1 calls such a request malformed; Node's parser leaves the field out, and nobody reads it. */
const leftOut: readonly (readonly [title: string, name: string, value: string])[] = [
  ['an empty name', '', 'boss'],
  ['a space in a name', 'x a', 'boss'],
  ['a colon in a name', 'x:a', 'boss'],
  ['a line end in a name', 'x\r\na', 'boss'],
  ['a high byte in a name', 'x\xc4', 'boss'],
  ['a NUL in a value', 'x-a', 'boss\0c'],
  ['CR LF in a value', 'x-a', 'boss\r\nx-zasov-subject: boss'],
  ['LF in a value', 'x-a', 'boss\nc'],
  ['CR in a value', 'x-a', 'boss\rc'],
  ['a space before a value', 'x-a', ' boss'],
  ['a tab behind a value', 'x-a', 'boss\t'],
];

for (const [title, name, value] of leftOut)
  await test(`RFC 9113 8.2.1: ${title} is a field that nobody reads`, async (t) => {
    const client = await FrameClient.open(gateway);
    const before = upstream.requests.length;
    client.send(frame(FRAME.headers, FLAG.endHeaders | FLAG.endStream, 1, block(withField(name, value))));
    await client.until(() => client.isOver(1) || client.isClosed, 'an answer');
    t.equal(client.statusOf(1), 200);
    t.equal(upstream.requests.length, before + 1);
    t.notMatch(JSON.stringify(upstream.requests.at(-1)), /boss/);
    client.close();
  });

await test('of all fields nothing reached the upstream that is no HTTP, and none was news to the process', (t) => {
  t.strictSame(upstream.violations, []);
  t.ok(requests.length + leftOut.length >= 70, `${requests.length + leftOut.length} cases`);
  t.notMatch(gateway.program.output.stderr, /unhandled|uncaught|Warning:|TypeError/i);
  t.end();
});
