import { spawnSync } from 'node:child_process';

import { test } from 'tap';

function zasovTest(...parameters: string[]) {
  return spawnSync(process.execPath, ['gateway/zasov.mjs', 'test', ...parameters], { encoding: 'utf8' });
}

const POLICY = `
regions: [{ id: a, nodes: ["http://127.0.0.1:9101"] }]
routes: [{ name: all, match: { path: "/**" }, access: session }]
sessions: {}
`;

void test("the demo's own policy tests hold", (t) => {
  const result = zasovTest();
  t.equal(result.status, 0, result.stdout + result.stderr);
  t.match(result.stdout, /\n\d+ passed, 0 failed\n$/);
  t.end();
});

void test('a decision that is not the expected one fails with its place and the reason', (t) => {
  const directory = t.testdir({
    'policy.yaml': POLICY,
    'a.test.yaml': [
      '- { name: right, request: GET /x, as: session:u@main, expect: { route: all, allowed: true } }',
      '- { name: wrong, request: GET /x, expect: { allowed: true } }',
      '- { name: typo, request: GET /x, expect: { alowed: true } }',
      '- { name: nobody, request: GET /x, as: u@main, expect: {} }',
    ].join('\n'),
  });
  const result = zasovTest(directory);
  t.equal(result.status, 1);
  t.match(result.stdout, /^ok +right$/m);
  t.match(result.stdout, /^failed +wrong \(.*a\.test\.yaml:2\)\n +allowed is false, expected true/m);
  t.match(result.stdout, /alowed/);
  t.match(result.stdout, /is nobody/);
  t.match(result.stdout, /\n1 passed, 3 failed\n$/);
  t.end();
});

void test('no test at all is a failure, not a success', (t) => {
  const result = zasovTest(t.testdir({ 'policy.yaml': POLICY }));
  t.equal(result.status, 1);
  t.match(result.stderr, /no test in/);
  t.end();
});
