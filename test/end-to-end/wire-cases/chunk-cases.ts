import { chunked, passing, post, type WireCase } from './wire-case.ts';

const EMPTY = { body: '' } as const;
const HELLO = { body: 'hello', framing: 'chunked' } as const;

/**
 * Chunks that break off: the head is good, so the upstream may have been asked already; what it must never get is the
 * end of a body that had none.
 */
const broken: readonly (readonly [section: string, title: string, body: string])[] = [
  ['RFC 9112 7.1', 'a chunk without a size', '\r\nhello\r\n0\r\n\r\n'],
  ['RFC 9112 7.1', 'a size in other letters', 'g\r\nhello\r\n0\r\n\r\n'],
  ['RFC 9112 7.1', 'a size with 0x', '0x5\r\nhello\r\n0\r\n\r\n'],
  ['RFC 9112 7.1', 'a negative size', '-5\r\nhello\r\n0\r\n\r\n'],
  ['RFC 9112 7.1', 'a size with a sign', '+5\r\nhello\r\n0\r\n\r\n'],
  ['RFC 9112 7.1', 'a space before a size', ' 5\r\nhello\r\n0\r\n\r\n'],
  ['RFC 9112 7.1', 'a space after a size', '5 \r\nhello\r\n0\r\n\r\n'],
  ['RFC 9112 7.1', 'a tab after a size', '5\t\r\nhello\r\n0\r\n\r\n'],
  ['RFC 9112 7.1', 'a NUL after a size', '5\0\r\nhello\r\n0\r\n\r\n'],
  ['RFC 9112 7.1', 'a size beyond 64 bits', '10000000000000005\r\nhello\r\n0\r\n\r\n'],
  ['RFC 9112 7.1', 'LF alone after a size', '5\nhello\r\n0\r\n\r\n'],
  ['RFC 9112 7.1', 'CR alone after a size', '5\rhello\r\n0\r\n\r\n'],
  ['RFC 9112 7.1', 'CR CR LF after a size', '5\r\r\nhello\r\n0\r\n\r\n'],
  ['RFC 9112 7.1', 'LF alone after a chunk', '5\r\nhello\n0\r\n\r\n'],
  ['RFC 9112 7.1', 'a chunk longer than its size', '5\r\nhello!\r\n0\r\n\r\n'],
  ['RFC 9112 7.1', 'a chunk shorter than its size', '6\r\nhello\r\n0\r\n\r\n'],
  ['RFC 9112 7.1', 'a chunk without an end', '5\r\nhello0\r\n\r\n'],
  ['RFC 9112 7.1', 'LF alone after the last size', '5\r\nhello\r\n0\n\r\n'],
  ['RFC 9112 7.1', 'LF alone for the end of the body', '5\r\nhello\r\n0\r\n\n'],
  ['RFC 9112 7.1.1', 'LF alone after an extension', '5;a=b\nhello\r\n0\r\n\r\n'],
  ['RFC 9112 7.1.1', 'a bare CR in an extension', '5;a\rb\r\nhello\r\n0\r\n\r\n'],
  ['RFC 9112 7.1.1', 'a NUL in an extension', '5;a\0b\r\nhello\r\n0\r\n\r\n'],
  ['RFC 9112 7.1.1', 'an extension that ends in a quote', '5;a="\r\nhello\r\n0\r\n\r\n'],
  ['RFC 9112 7.1.1', 'extensions of 32 KiB', `5;${'a'.repeat(32_768)}\r\nhello\r\n0\r\n\r\n`],
  ['RFC 9112 7.1.2', 'a trailer without a colon', '5\r\nhello\r\n0\r\nno trailer\r\n\r\n'],
  ['RFC 9112 5.1', 'a trailer with a space before its colon', '5\r\nhello\r\n0\r\nX-A : b\r\n\r\n'],
  ['RFC 9112 5.2', 'a folded trailer', '5\r\nhello\r\n0\r\nX-A: b\r\n c\r\n\r\n'],
  ['RFC 9112 2.2', 'a trailer that ends with LF alone', '5\r\nhello\r\n0\r\nX-A: b\n\r\n'],
  ['RFC 9110 6.5.1', 'a length in a trailer', '5\r\nhello\r\n0\r\nContent-Length: 50\r\n\r\n'],
  ['RFC 9110 5.5', 'a NUL in a trailer', '5\r\nhello\r\n0\r\nX-A: \0\r\n\r\n'],
];

/** Chunks (RFC 9112 section 7.1): sizes, extensions, trailers, line ends. */
export const chunkCases: readonly WireCase[] = [
  ...broken.map(([section, title, body]) => ({
    section,
    title,
    bytes: chunked(body),
    answers: [400],
    closes: true,
    arrives: [],
  })),
  {
    section: 'RFC 9112 7.1.2',
    title: 'trailers beyond header_bytes',
    bytes: chunked(`5\r\nhello\r\n0\r\nX-A: ${'a'.repeat(20_000)}\r\n\r\n`),
    answers: [431],
    closes: true,
    arrives: [],
  },
  ...passing([
    ['RFC 9112 7.1', 'no chunk but the last', chunked('0\r\n\r\n'), EMPTY],
    ['RFC 9112 7.1', 'several chunks', chunked('1\r\nh\r\n4\r\nello\r\n0\r\n\r\n'), HELLO],
    ['RFC 9112 7.1', 'leading zeros of a size', chunked('0005\r\nhello\r\n000\r\n\r\n'), HELLO],
    [
      'RFC 9112 7.1',
      'a size in capitals and small letters',
      chunked(`aB\r\n${'x'.repeat(171)}\r\n0\r\n\r\n`),
      { body: 'x'.repeat(171) },
    ],
    [
      'RFC 9112 7.1',
      'the end of a body inside a chunk is content',
      chunked('8\r\na\r\n0\r\n\r\n\r\n0\r\n\r\n'),
      { body: 'a\r\n0\r\n\r\n' },
    ],
    [
      'RFC 9112 7.1.1',
      'an extension is not passed on',
      chunked('5;name=value\r\nhello\r\n0;last\r\n\r\n'),
      HELLO,
    ],
    [
      'RFC 9112 7.1.1',
      'a quoted extension is not passed on',
      chunked('5;name="a b"\r\nhello\r\n0\r\n\r\n'),
      HELLO,
    ],
    [
      'RFC 9110 6.5.1',
      'a trailer is not passed on',
      chunked('5\r\nhello\r\n0\r\nX-Check: 1\r\n\r\n'),
      { ...HELLO, headers: { 'x-check': [] } },
    ],
    [
      'RFC 9110 6.5.1',
      'a trailer is never taken for a header',
      chunked('5\r\nhello\r\n0\r\nX-Zasov-Subject: boss\r\nHost: other\r\n\r\n'),
      { ...HELLO, headers: { host: ['localhost'] } },
    ],
    [
      'RFC 9110 6.6.2',
      'Trailer is not passed on',
      post(['Transfer-Encoding: chunked', 'Trailer: X-Check'], '5\r\nhello\r\n0\r\nX-Check: 1\r\n\r\n'),
      { ...HELLO, headers: { trailer: [] } },
    ],
  ]),
];
