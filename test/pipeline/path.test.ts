import { array, assert, constantFrom, property } from '../support/property-based.ts';
import { test } from 'tap';

import { GatewayError } from '../../gateway/core/gateway-error.ts';
import { checkTarget } from '../../gateway/pipeline/path.ts';

const REFUSED = [
  '',
  '*',
  'admin',
  'http://crm/admin',
  '//admin',
  '/a//b',
  '/a/./b',
  '/a/../b',
  '/..',
  '/.',
  '/a/..',
  '/a/.',
  '/..;/admin',
  '/a/..;x=1/b',
  '/.;/admin',
  String.raw`/a\b`,
  '/a%5cb',
  '/a%5Cb',
  '/a%2fb',
  '/a%2Fb',
  '/%2e%2e/b',
  '/%2E%2e/b',
  '/.%2e/b',
  '/a%00b',
  '/a%0ab',
  '/a%1fb',
  '/a%7fb',
  '/a%',
  '/a%4',
  '/a%zz',
  '/a%252fb',
  '/a%252e%252e/b',
  '/a%25%32%66',
  '/a%c0%af',
  '/a%ff',
  '/a%e2%82',
  '/a b',
  '/a\tb',
  '/a\0b',
  '/a\u007fb',
  '/aä',
  '/a#b',
  '/a?b#c',
  '/a?b c',
  '/a?b\nc',
];

for (const target of REFUSED) {
  void test(`target ${JSON.stringify(target)} is refused as ambiguous`, (t) => {
    t.throws(() => checkTarget(target), { code: 'bad_path' });
    t.end();
  });
}

void test('plain targets pass unchanged and are taken apart', (t) => {
  t.same(checkTarget('/'), { path: '/', search: '' });
  t.same(checkTarget('/leads/7?x=1&y=%2f..//'), { path: '/leads/7', search: 'x=1&y=%2f..//' });
  t.same(checkTarget('/a?'), { path: '/a', search: '' });
  t.same(checkTarget('/a/'), { path: '/a/', search: '' });
  t.same(checkTarget('/file.name.ext;v=1'), { path: '/file.name.ext;v=1', search: '' });
  t.same(checkTarget('/...'), { path: '/...', search: '' });
  t.end();
});

void test('rules match what the upstream will decode, so an escaped letter hides nothing', (t) => {
  t.equal(checkTarget('/%61dmin').path, '/admin');
  t.equal(checkTarget('/%D0%BB%D0%B8%D0%B4').path, '/лид');
  t.end();
});

void test('any text is either refused with bad_path or free of every ambiguity', (t) => {
  const piece = constantFrom(
    '/',
    '.',
    '..',
    '%2e',
    '%2f',
    '%5c',
    '\\',
    ';',
    '%',
    '%25',
    'a',
    'B',
    '%61',
    '?',
    '#',
    ' ',
    'я',
  );
  assert(
    property(array(piece, { maxLength: 12 }), (pieces) => {
      try {
        const { path } = checkTarget(`/${pieces.join('')}`);
        const segments = path.split('/').map((segment) => segment.split(';')[0]);
        return (
          !path.includes('//') && !path.includes('\\') && !segments.includes('.') && !segments.includes('..')
        );
      } catch (error) {
        return error instanceof GatewayError && error.code === 'bad_path';
      }
    }),
    { numRuns: 20_000 },
  );
  t.end();
});
