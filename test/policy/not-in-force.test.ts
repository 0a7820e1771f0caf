import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { test } from 'tap';

import { loadPolicy } from '../../gateway/policy/load-policy.ts';
import { notInForce } from '../../gateway/policy/not-in-force.ts';

const BASE = `
regions: [{ id: a, nodes: ["http://127.0.0.1:9101"] }]
routes: [{ name: all, match: { path: "/**" }, access: session }]
`;

function gaps(directory: string, more: string) {
  const file = join(directory, 'policy.yaml');
  writeFileSync(file, BASE + more);
  const loaded = loadPolicy(file, {});
  if ('mistakes' in loaded) throw new Error(JSON.stringify(loaded.mistakes));
  return notInForce(loaded.settings);
}

void test('a policy that asks for nothing unfinished has no gaps', (t) => {
  t.same(gaps(t.testdir(), 'sessions: {}'), { refused: [], waiting: [] });
  t.end();
});

void test('what would be dangerous to pass over is refused, not ignored', (t) => {
  const refused = (more: string) => gaps(t.testdir(), more).refused;
  t.same(refused('sessions: {}\nstore: { kind: redis, url: "redis://127.0.0.1:6379" }'), []);
  t.match(refused('sessions: { device: require }'), [/^sessions\.device/]);
  t.same(refused('sessions: {}\nworkers: 2'), []);
  t.end();
});

void test('limits and API keys are in force', (t) => {
  const limits = 'limits: { a: { per: client, response_bytes: 1MiB/1h, parallel: 2, failures: 1/1m } }';
  t.same(gaps(t.testdir(), `sessions: {}\n${limits}\napi_keys: {}`), { refused: [], waiting: [] });
  t.end();
});
