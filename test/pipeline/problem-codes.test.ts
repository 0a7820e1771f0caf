import { readFileSync } from 'node:fs';

import { test } from 'tap';

import { PROBLEMS } from '../../gateway/core/gateway-error.ts';

const readme = readFileSync(new URL('../../gateway/pipeline/README.md', import.meta.url), 'utf8');

void test('every code that a client can meet is documented with its status', (t) => {
  const rows = new Map(
    [...readme.matchAll(/^\| `(\w+)` *\| (\d{3}) /gm)].map((row) => [row[1], Number(row[2])]),
  );
  for (const [code, { status }] of Object.entries(PROBLEMS)) t.equal(rows.get(code), status, code);
  t.same(new Set(rows.keys()), new Set(Object.keys(PROBLEMS)), 'and no other');
  t.end();
});
