import * as fc from '../support/property-based.ts';
import { test } from 'tap';
import { compilePathGlob } from '../../gateway/core/glob.ts';
import type { RequestMatch } from '../../gateway/policy/compile-request-rule.ts';
import { findShadowed } from '../../gateway/policy/find-shadowed.ts';
import { globCovers } from '../../gateway/policy/glob-cover.ts';

const covers: readonly [wide: string, narrow: string, isCovered: boolean][] = [
  ['/**', '/x', true],
  ['/**', '/', true],
  ['/**', '/**', true],
  ['/a/**', '/a', false],
  ['/a/**', '/a/', true],
  ['/a/**', '/a/b/*', true],
  ['/a/*', '/a/**', false],
  ['/a/*', '/a/b*', true],
  ['/a/b*', '/a/*', false],
  ['/*', '/a/b', false],
  ['/*/x', '/a/x', true],
  ['/*/x', '/a/*', false],
  ['/**/x', '/x', true],
  ['/**/x', '/a/**/x', true],
  ['/a/**/x', '/**/x', false],
  ['/*.php', '/a*.php', true],
  ['/a*.php', '/*.php', false],
  ['/a*b*', '/ab', true],
  ['/*a*', '/*b*a', true],
  ['/**/a/**', '/x/a/y', true],
  ['/x', '/x/', false],
];

for (const [wide, narrow, isCovered] of covers)
  await test(`${wide} ${isCovered ? 'takes all' : 'does not take all'} that ${narrow} takes`, async (t) => {
    t.equal(globCovers(wide, narrow, 'path'), isCovered);
  });

await test('a glob covers another exactly when no path tells them apart', async (t) => {
  const piece = fc.constantFrom('a', 'b', '*', '**', 'a*', '*b');
  const glob = fc.array(piece, { minLength: 1, maxLength: 3 }).map((parts) => `/${parts.join('/')}`);
  const segments = ['a', 'b', 'ab', 'ba', 'c', 'acb'];
  const paths = [
    '/',
    ...segments.map((x) => `/${x}`),
    ...segments.flatMap((x) => segments.map((y) => `/${x}/${y}`)),
  ];
  const deep = [
    ...paths,
    ...paths.flatMap((path) => ['/a', '/b', '/c', '/'].map((end) => path.replace(/\/$/, '') + end)),
  ];
  fc.assert(
    fc.property(glob, glob, (wide, narrow) => {
      const [takesWide, takesNarrow] = [compilePathGlob(wide), compilePathGlob(narrow)];
      const difference = deep.find((path) => takesNarrow(path) && !takesWide(path));
      return globCovers(wide, narrow, 'path') ? difference === undefined : true;
    }),
    { numRuns: 3000 },
  );
  fc.assert(
    fc.property(glob, (one) => globCovers(one, one, 'path') && globCovers('/**', one, 'path')),
    { numRuns: 500 },
  );
  t.pass();
});

await test('globs that would take long to compare count as not covering', async (t) => {
  const began = process.cpuUsage();
  const wide = `/${'*a'.repeat(18)}*`;
  const narrow = `/${'*b*a'.repeat(18)}*c`;
  t.type(globCovers(wide, narrow, 'path'), 'boolean');
  t.ok(process.cpuUsage(began).user < 10_000_000);
});

const orders: readonly { title: string; routes: RequestMatch[]; dead: number[] }[] = [
  { title: 'everything first', routes: [{ path: ['/**'] }, { path: ['/a'] }], dead: [1] },
  { title: 'everything last', routes: [{ path: ['/a'] }, { path: ['/**'] }], dead: [] },
  { title: 'the same twice', routes: [{ path: ['/a'] }, { path: ['/a'] }], dead: [1] },
  { title: 'one of two paths', routes: [{ path: ['/a'] }, { path: ['/a', '/b'] }], dead: [] },
  {
    title: 'two routes together',
    routes: [{ path: ['/a/**'] }, { path: ['/b'] }, { path: ['/a/x', '/b'] }],
    dead: [2],
  },
  { title: 'a method less', routes: [{ path: ['/**'], method: ['GET'] }, { path: ['/a'] }], dead: [] },
  {
    title: 'the same methods',
    routes: [
      { path: ['/**'], method: ['GET', 'POST'] },
      { path: ['/a'], method: ['POST'] },
    ],
    dead: [1],
  },
  {
    title: 'another method',
    routes: [
      { path: ['/**'], method: ['GET'] },
      { path: ['/a'], method: ['POST'] },
    ],
    dead: [],
  },
  { title: 'a narrower host', routes: [{ host: ['*.x'] }, { host: ['a.x'], path: ['/a'] }], dead: [1] },
  { title: 'a host only in front', routes: [{ path: ['/**'], host: ['a.x'] }, { path: ['/a'] }], dead: [] },
  {
    title: 'a query in front',
    routes: [{ path: ['/**'], query: { do: ['x'] } }, { path: ['/a'] }],
    dead: [],
  },
  { title: 'a query behind', routes: [{ path: ['/**'] }, { path: ['/a'], query: { do: ['x'] } }], dead: [1] },
  {
    title: 'a wider query',
    routes: [{ query: { do: ['*'] } }, { path: ['/a'], query: { do: ['x'], u: ['y'] } }],
    dead: [1],
  },
  { title: 'another query', routes: [{ query: { do: ['x'] } }, { query: { do: ['y'] } }], dead: [] },
  {
    title: 'a network in front',
    routes: [{ path: ['/**'], network: ['10.0.0.0/8'] }, { path: ['/a'] }],
    dead: [],
  },
  {
    title: 'the same network',
    routes: [{ network: ['10.0.0.0/8'] }, { path: ['/a'], network: ['10.0.0.0/8'] }],
    dead: [1],
  },
  {
    title: 'a header in front',
    routes: [{ header: { a: ['1'] } }, { path: ['/a'], header: { b: ['1'] } }],
    dead: [],
  },
  { title: 'no path at all behind everything', routes: [{ path: ['/**'] }, { method: ['GET'] }], dead: [1] },
];

for (const { title, routes, dead } of orders)
  await test(`${title}: ${dead.length === 0 ? 'every route is reached' : `route ${dead.join()} is not reached`}`, async (t) => {
    t.strictSame(
      findShadowed(routes).map(({ index }) => index),
      dead,
    );
  });
