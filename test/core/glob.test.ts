import * as fc from '../support/property-based.ts';
import { test } from 'tap';
import { anyGlob, compilePathGlob, compileTextGlob, pathGlobMistake } from '../../gateway/core/glob.ts';

const paths: readonly { glob: string; yes: string[]; no: string[] }[] = [
  { glob: '/login', yes: ['/login'], no: ['/login/', '/Login', '/login2', '/', '/a/login'] },
  { glob: '/', yes: ['/'], no: ['/a', ''] },
  { glob: '/**', yes: ['/', '/a', '/a/b'], no: ['', 'a'] },
  {
    glob: '/admin/**',
    yes: ['/admin/', '/admin/a', '/admin/a/b'],
    no: ['/admin', '/administrator', '/x/admin/a'],
  },
  { glob: '/poll*', yes: ['/poll', '/poll.php'], no: ['/poll/x', '/pol', '/polls/1'] },
  { glob: '/a/*', yes: ['/a/', '/a/b'], no: ['/a', '/a/b/c'] },
  { glob: '/*/edit', yes: ['/leads/edit'], no: ['/edit', '/a/b/edit', '/leads/edit/1'] },
  {
    glob: '/leads/*/files',
    yes: ['/leads/5/files'],
    no: ['/leads/files', '/leads/5/6/files', '/leads/5/files/1'],
  },
  { glob: '/**/edit', yes: ['/edit', '/a/edit', '/a/b/edit'], no: ['/a/edit/b', '/aedit'] },
  { glob: '/a/**/z', yes: ['/a/z', '/a/b/z', '/a/b/c/z'], no: ['/a', '/z', '/a/zz', '/az'] },
  { glob: '/a/**/b/*/**', yes: ['/a/b/c/d', '/a/x/b/c/', '/a/b/b/c/d'], no: ['/a/b/c', '/a/b'] },
  { glob: '/v*/x*y', yes: ['/v/xy', '/v4/xaay'], no: ['/v4/xaayz', '/v4/a/xy'] },
  { glob: '/a.b+c(d)', yes: ['/a.b+c(d)'], no: ['/aXb+c(d)', '/a.bbc(d)'] },
  { glob: '/*.php', yes: ['/x.php', '/.php'], no: ['/xphp', '/a/x.php'] },
];

for (const { glob, yes, no } of paths)
  await test(`the path glob ${glob} matches what it says and nothing else`, async (t) => {
    t.equal(pathGlobMistake(glob), undefined);
    const matches = compilePathGlob(glob);
    for (const path of yes) t.equal(matches(path), true, path);
    for (const path of no) t.equal(matches(path), false, path);
  });

await test('a path glob that could never match, or means something else elsewhere, is refused', async (t) => {
  const bad = [
    '',
    'a',
    '/a?b',
    '/a#b',
    '/a b',
    '/a\\b',
    '//a',
    '/a***',
    '/a**',
    '/**a',
    '/x/a**/b',
    '/../a',
    '/a/.',
  ];
  for (const glob of bad) t.type(pathGlobMistake(glob), 'string', glob);
});

const texts: readonly { glob: string; yes: string[]; no: string[] }[] = [
  { glob: '*', yes: ['', 'x', 'a\nb'], no: [] },
  { glob: 'DW*', yes: ['DW', 'DWx'], no: ['dw', 'xDW'] },
  { glob: '*no-store*', yes: ['no-store', 'private, no-store, x'], no: ['no-stor'] },
  { glob: 'a*a', yes: ['aa', 'aba'], no: ['a', 'ab'] },
  { glob: 'a*b*c', yes: ['abc', 'axbyc', 'abbc'], no: ['acb', 'ac', 'abcd'] },
  { glob: '**', yes: ['', 'x'], no: [] },
  { glob: '', yes: [''], no: ['x'] },
];

for (const { glob, yes, no } of texts)
  await test(`the text glob "${glob}" matches what it says and nothing else`, async (t) => {
    for (const text of yes) t.equal(compileTextGlob(glob)(text), true, text);
    for (const text of no) t.equal(compileTextGlob(glob)(text), false, text);
  });

await test('text globs agree with the regular expression that they stand for', async (t) => {
  const letters = fc.string({ unit: fc.constantFrom('a', 'b', '*'), maxLength: 8 });
  const text = fc.string({ unit: fc.constantFrom('a', 'b', '\n'), maxLength: 12 });
  fc.assert(
    fc.property(letters, text, (glob, value) => {
      const expected = new RegExp(`^${glob.replaceAll('*', '[^]*')}$`).test(value);
      return compileTextGlob(glob)(value) === expected;
    }),
    { numRuns: 5000 },
  );
  t.pass();
});

await test('path globs agree with the regular expression that they stand for', async (t) => {
  const piece = fc.constantFrom('a', 'b', '*', '**', 'a*', '*b', 'a*b');
  const glob = fc.array(piece, { minLength: 1, maxLength: 5 }).map((parts) => `/${parts.join('/')}`);
  const path = fc
    .array(fc.constantFrom('a', 'b', 'ab', ''), { minLength: 1, maxLength: 6 })
    .map((parts) => `/${parts.join('/')}`);
  fc.assert(
    fc.property(glob, path, (pattern, value) => {
      const segments = pattern.split('/').slice(1);
      const source = segments.map((segment, index) => {
        if (segment !== '**') return `/${segment.replaceAll('*', '[^/]*')}`;
        return index === segments.length - 1 ? '/[^]*' : '(?:/[^/]*)*';
      });
      return compilePathGlob(pattern)(value) === new RegExp(`^${source.join('')}$`).test(value);
    }),
    { numRuns: 5000 },
  );
  t.pass();
});

await test('no path takes long to refuse', async (t) => {
  const text = compileTextGlob(`${'*a'.repeat(30)}*b`);
  const path = compilePathGlob(`/${'**/a*a/'.repeat(10)}**/b`);
  const began = process.cpuUsage();
  t.equal(text('a'.repeat(50_000)), false);
  t.equal(path('/aa'.repeat(15_000)), false);
  t.ok(process.cpuUsage(began).user < 1_000_000, 'under a second of CPU');
});

await test('any of several globs is enough, and none matches nothing', async (t) => {
  const either = anyGlob([compileTextGlob('a'), compileTextGlob('b*')]);
  t.strictSame(['a', 'bc', 'c'].map(either), [true, true, false]);
  t.equal(anyGlob([])(''), false);
});
