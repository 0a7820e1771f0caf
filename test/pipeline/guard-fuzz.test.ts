/** The guard and the route matcher against targets and heads that nobody thought of. `npm run fuzz` looks for longer. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { readRequestHead } from '../../gateway/proxy/request-head.ts';
import { decide, FUZZED_POLICY, misread, snapshotOf, targets } from '../fuzz/readings.ts';
import { array, assert, constantFrom, property, string, tuple } from '../support/property-based.ts';

await test('no reader of a path that is let through finds a closed route in it', (t) => {
  const file = join(t.testdir(), 'p.yaml');
  writeFileSync(file, FUZZED_POLICY);
  const snapshot = snapshotOf(file);
  let letThrough = 0;
  assert(
    property(targets, (target) => {
      const fault = misread(snapshot, target);
      if (fault !== undefined) throw new Error(fault);
      if (decide(snapshot, target).refused === undefined) letThrough += 1;
    }),
    { numRuns: 20_000 },
  );
  t.ok(letThrough > 500, `${letThrough} targets were let through`);
  for (const closed of ['/internal/x', '/%69nternal/x'])
    t.equal(decide(snapshot, closed).refused, 'route_denied', 'the closed routes are closed');
  t.end();
});

await test('what the guard decides on is what is sent, or nothing is', (t) => {
  const file = join(t.testdir(), 'p.yaml');
  writeFileSync(file, FUZZED_POLICY);
  const snapshot = snapshotOf(file);
  assert(
    property(targets, (target) => {
      const { context, refused } = decide(snapshot, target);
      if (refused !== undefined) return true;
      const { path, search } = context;
      return (
        context.target === target &&
        decodeURIComponent(target.split('?')[0] ?? '') === path &&
        (search === '' || target.endsWith(`?${search}`)) &&
        !/[\0-\x20\x7f-\uffff#]/.test(target) &&
        !path.includes('\\')
      );
    }),
    { numRuns: 10_000 },
  );
  t.pass();
  t.end();
});

const NAMES = [
  'X-Zasov-Subject',
  'X-Forwarded-For',
  'Connection',
  'Cookie',
  'Host',
  'TE',
  'Keep-Alive',
  'Upgrade',
  'X-A',
  'X-B',
  'Content-Length',
  'Transfer-Encoding',
  'Proxy',
];
const spelled = tuple(
  constantFrom(...NAMES),
  constantFrom('-', '_', '.', "'", '~'),
  constantFrom(0, 1, 2),
).map(([name, dash, letters]) => {
  const text = name.replaceAll('-', dash);
  return letters === 0 ? text : letters === 1 ? text.toLowerCase() : text.toUpperCase();
});
const NEVER =
  /^(?:x.zasov.*|zasov.*|x.forwarded.*|connection|keep.alive|te|upgrade|host|cookie|content.length|transfer.encoding|proxy)$/;

await test('no spelling of a header that is the gateway’s own is forwarded, whatever Connection says', (t) => {
  const value = constantFrom('x', 'close, x-a', 'x-b, x-zasov-subject', 'keep-alive', 'trailers', '');
  assert(
    property(array(tuple(spelled, value), { maxLength: 30 }), (pairs) => {
      const { forward } = readRequestHead(pairs.flat(), new Set());
      const names = forward.filter((_, index) => index % 2 === 0);
      const connection = pairs
        .filter(([name]) => name.toLowerCase() === 'connection')
        .map(([, said]) => said);
      const taken = new Set(
        connection
          .join(',')
          .split(',')
          .map((name) => name.trim()),
      );
      return names.every((name) => !NEVER.test(name) && !taken.has(name));
    }),
    { numRuns: 5000 },
  );
  t.pass();
  t.end();
});

await test('no text as a target, and no list of headers, makes either fail in another way', (t) => {
  const file = join(t.testdir(), 'p.yaml');
  writeFileSync(file, FUZZED_POLICY);
  const snapshot = snapshotOf(file);
  assert(
    property(string({ unit: 'binary', maxLength: 200 }), (text) => {
      decide(snapshot, text);
      readRequestHead([text, text, 'Connection', text], new Set());
    }),
    { numRuns: 10_000 },
  );
  t.pass();
  t.end();
});
