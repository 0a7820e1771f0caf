import { assert, constantFrom, property, uint8Array } from 'fast-check';
import { test } from 'tap';

import { readProxyHeader } from '../../gateway/proxy/proxy-header.ts';

const SIGNATURE = '0d0a0d0a000d0a515549540a';
const line = (text: string) => Buffer.from(`${text}\r\n`, 'latin1');
/** A version 2 header: command and family in hexadecimal, then what follows the length. */
const binary = (head: string, body: Buffer, length = body.length) =>
  Buffer.concat([Buffer.from(SIGNATURE + head + length.toString(16).padStart(4, '0'), 'hex'), body]);
const FOUR = Buffer.from('c63364070a000001d43101bb', 'hex');
const SIX = Buffer.from(`20010db8${'0'.repeat(23)}7${'0'.repeat(32)}d43101bb`, 'hex');
const MAPPED = Buffer.from(`${'0'.repeat(20)}ffffc6336407${'0'.repeat(32)}d43101bb`, 'hex');

const GOOD: readonly (readonly [what: string, bytes: Buffer, address: string | undefined])[] = [
  ['version 1, IPv4', line('PROXY TCP4 198.51.100.7 10.0.0.1 54321 443'), '198.51.100.7'],
  ['version 1, IPv6', line('PROXY TCP6 2001:db8::7 2001:db8::1 54321 443'), '2001:db8::7'],
  ['version 1, unknown', line('PROXY UNKNOWN'), undefined],
  ['version 1, unknown with more', line('PROXY UNKNOWN ffff::1 ffff::2 1 2'), undefined],
  ['version 2, IPv4', binary('2111', FOUR), '198.51.100.7'],
  ['version 2, IPv6', binary('2121', SIX), '2001:db8:0:0:0:0:0:7'],
  ['version 2, IPv4 in IPv6', binary('2121', MAPPED), '198.51.100.7'],
  [
    'version 2, with extensions',
    binary('2111', Buffer.concat([FOUR, Buffer.from('030004deadbeef', 'hex')])),
    '198.51.100.7',
  ],
  ['version 2, local', binary('2000', Buffer.alloc(0)), undefined],
  ['version 2, local with a body', binary('2011', FOUR), undefined],
];

for (const [what, bytes, address] of GOOD)
  void test(`${what} is read, whatever follows, and no byte too early`, (t) => {
    const whole = { kind: 'whole', bytes: bytes.length, address };
    t.same(readProxyHeader(bytes), whole);
    t.same(readProxyHeader(Buffer.concat([bytes, Buffer.from('\x16\x03\x01 hello')])), whole);
    for (let length = 0; length < bytes.length; length += 1)
      t.same(readProxyHeader(bytes.subarray(0, length)), { kind: 'incomplete' }, `${length} bytes`);
    t.end();
  });

const BAD: readonly (readonly [what: string, bytes: Buffer])[] = [
  ['a TLS hello', Buffer.from('160301020001', 'hex')],
  ['an HTTP request', line('GET / HTTP/1.1')],
  ['lower case', line('proxy TCP4 198.51.100.7 10.0.0.1 1 2')],
  ['two spaces', line('PROXY  TCP4 198.51.100.7 10.0.0.1 1 2')],
  ['a tab', line('PROXY TCP4\t198.51.100.7 10.0.0.1 1 2')],
  ['another protocol', line('PROXY UDP4 198.51.100.7 10.0.0.1 1 2')],
  ['the wrong family', line('PROXY TCP4 2001:db8::7 2001:db8::1 1 2')],
  ['a zone', line('PROXY TCP6 fe80::1%eth0 fe80::2 1 2')],
  ['leading zeros', line('PROXY TCP4 198.051.100.7 10.0.0.1 1 2')],
  ['a port too many', line('PROXY TCP4 198.51.100.7 10.0.0.1 1 2 3')],
  ['no ports', line('PROXY TCP4 198.51.100.7 10.0.0.1')],
  ['a port beyond', line('PROXY TCP4 198.51.100.7 10.0.0.1 65536 2')],
  ['a port with a sign', line('PROXY TCP4 198.51.100.7 10.0.0.1 +1 2')],
  ['a port with zeros', line('PROXY TCP4 198.51.100.7 10.0.0.1 01 2')],
  ['LF alone', Buffer.from('PROXY TCP4 198.51.100.7 10.0.0.1 1 2\nGET / HTTP/1.1\r\n')],
  ['a CR inside', Buffer.from('PROXY TCP4 198.51.100.7 10.0.0.1 1 2\rX\r\n')],
  ['a line that never ends', Buffer.from(`PROXY UNKNOWN ${'x'.repeat(200)}`)],
  ['a line of 108 bytes', line(`PROXY UNKNOWN ${'x'.repeat(92)}`)],
  ['version 3', binary('3111', FOUR)],
  ['an unknown command', binary('2211', FOUR)],
  ['UDP', binary('2112', FOUR)],
  ['a unix socket', binary('2131', Buffer.alloc(216))],
  ['an unspecified family', binary('2100', Buffer.alloc(0))],
  ['a body too short for its addresses', binary('2111', FOUR.subarray(0, 11))],
  ['a body too short for IPv6', binary('2121', FOUR)],
  ['an endless body', binary('2111', FOUR, 65_535)],
];

for (const [what, bytes] of BAD)
  void test(`${what} is no header`, (t) => {
    t.same(readProxyHeader(bytes), { kind: 'bad' });
    t.end();
  });

void test('no bytes at all make the reader throw, or believe more than there is', (t) => {
  const start = constantFrom(Buffer.alloc(0), Buffer.from('PROXY '), Buffer.from(SIGNATURE, 'hex'));
  assert(
    property(start, uint8Array({ maxLength: 300 }), (head, tail) => {
      const bytes = Buffer.concat([head, tail]);
      const read = readProxyHeader(bytes);
      return read.kind !== 'whole' || read.bytes <= bytes.length;
    }),
    { seed: 1, numRuns: 2000 },
  );
  t.end();
});
