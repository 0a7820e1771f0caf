import * as fc from '../support/property-based.ts';
import { test } from 'tap';
import { parseCookies, parseSetCookie } from '../../gateway/core/cookie.ts';

const NOW = 1_800_000_000_000;

await test('a Cookie header is split as browsers write it', async (t) => {
  t.strictSame(parseCookies('a=1; b=x=y;c="q"; d=; e'), [
    { name: 'a', value: '1' },
    { name: 'b', value: 'x=y' },
    { name: 'c', value: '"q"' },
    { name: 'd', value: '' },
    { name: '', value: 'e' },
  ]);
  t.strictSame(parseCookies(''), []);
  t.strictSame(parseCookies(' ;; '), []);
  t.strictSame(
    parseCookies('a=1; a=2').map(({ value }) => value),
    ['1', '2'],
    'a doubled name is seen as such',
  );
});

const setCookies: readonly [string, object | undefined][] = [
  ['sid=abc', { name: 'sid', value: 'abc', path: '/', expiresAtMs: undefined }],
  [
    'sid = a b ; Path=/crm; HttpOnly; Secure',
    { name: 'sid', value: 'a b', path: '/crm', expiresAtMs: undefined },
  ],
  ['sid=a=b', { name: 'sid', value: 'a=b', path: '/', expiresAtMs: undefined }],
  ['sid=; Max-Age=0', { name: 'sid', value: '', path: '/', expiresAtMs: NOW }],
  ['sid=x; Max-Age=-5', { name: 'sid', value: 'x', path: '/', expiresAtMs: NOW - 5000 }],
  [
    'sid=x; max-age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT',
    { name: 'sid', value: 'x', path: '/', expiresAtMs: NOW + 60_000 },
  ],
  ['sid=x; Expires=Thu, 01-Jan-1970 00:00:01 GMT', { name: 'sid', value: 'x', path: '/', expiresAtMs: 1000 }],
  [
    'sid=x; Expires=Thu, 01 Jan 1970 00:00:01 GMT; Expires=never',
    { name: 'sid', value: 'x', path: '/', expiresAtMs: 1000 },
  ],
  ['sid=x; Expires=soon', { name: 'sid', value: 'x', path: '/', expiresAtMs: undefined }],
  ['sid=x; Max-Age=soon', { name: 'sid', value: 'x', path: '/', expiresAtMs: undefined }],
  ['sid=x; Path=relative', { name: 'sid', value: 'x', path: '/', expiresAtMs: undefined }],
  ['sid=x; path', { name: 'sid', value: 'x', path: '/', expiresAtMs: undefined }],
  ['=x', undefined],
  ['x', undefined],
  ['', undefined],
  ['; Path=/', undefined],
];

for (const [header, expected] of setCookies)
  await test(`Set-Cookie "${header}" is read as a browser's jar reads it`, async (t) => {
    t.strictSame(parseSetCookie(header, NOW), expected);
  });

await test('no header makes the parsers throw', async (t) => {
  const text = fc.string({
    unit: fc.constantFrom('a', '=', ';', ' ', '"', '\0', 'Max-Age', 'Expires', 'Path', '/'),
    maxLength: 20,
  });
  fc.assert(
    fc.property(text, (header) => {
      const cookie = parseSetCookie(header, NOW);
      return parseCookies(header).every(({ name }) => !name.includes(';')) && cookie?.name !== '';
    }),
    { numRuns: 3000 },
  );
  t.pass();
});
