import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Test, test } from 'tap';
import { runCheck } from '../../gateway/cli/check.ts';
import { runExplain } from '../../gateway/cli/explain.ts';
import { runSchema } from '../../gateway/cli/schema.ts';
import { policyJsonSchema } from '../../gateway/policy/json-schema.ts';
import { SHORTEST } from '../support/policy-fixture.ts';

const POLICY = `accounts: { host: "{account}.crm.localhost" }
regions:
  - { id: msk, nodes: ["http://127.0.0.1:9101"] }
  - { id: spb, nodes: ["http://127.0.0.1:9102"] }
routing: { home: { accounts: { acme: spb } } }
routes:
  - { name: static, match: { path: "/static/**" }, access: public, limit: anonymous }
  - { name: office, match: { path: "/office", network: 10.0.0.0/8 }, access: public }
  - { name: ajax, match: { path: "/ajax", header: { x-mode: a } }, access: session }
  - { name: keys, match: { path: "/api/**" }, access: api_key }
  - { name: both, match: { path: "/both" }, access: session_or_key }
  - { name: panel, match: { path: "/admin" }, access: admin }
  - { name: never, match: { path: "/never" }, access: deny }
  - { name: app, match: { path: "/app/**" }, access: session, limit: person }
sessions: {}
admins:
  - { name: Anna, certificate: "sha256:${'a'.repeat(64)}" }
  - { name: Boris, certificate: "sha256:${'b'.repeat(64)}" }
limits: { anonymous: { per: client, parallel: 5 }, person: { per: session, parallel: 5 } }
`;

async function outputOf(
  t: Test,
  run: () => Promise<number>,
): Promise<{ code: number; out: string; err: string }> {
  const out = t.capture(process.stdout, 'write', () => true);
  const err = t.capture(process.stderr, 'write', () => true);
  try {
    const code = await run();
    const text = (calls: readonly { args: readonly unknown[] }[]) =>
      calls.map(({ args }) => String(args[0])).join('');
    return { code, out: text(out()), err: text(err()) };
  } finally {
    out.restore();
    err.restore();
  }
}

async function explain(t: Test, ...argv: string[]) {
  const file = join(t.testdir(), 'p.yaml');
  writeFileSync(file, POLICY);
  return await outputOf(t, () => runExplain([...argv, '--policies', file]));
}

const ACME = 'https://acme.crm.localhost';
const NOWHERE = { region: null, node: null, limit: null };
const SPB = { region: 'spb', node: 'http://127.0.0.1:9102' };
const cases: readonly [string[], object][] = [
  [
    ['GET', `${ACME}/static/app.css`],
    { route: 'static', access: 'public', allowed: true, code: null, ...SPB, limit: 'anonymous' },
  ],
  [
    ['GET', '/static/app.css'],
    { route: 'static', allowed: true, region: 'msk', node: 'http://127.0.0.1:9101' },
  ],
  [
    ['GET', `${ACME}:8443/app/x?y=1#z`],
    { route: 'app', access: 'session', allowed: false, code: 'session_required', ...SPB, limit: 'person' },
  ],
  [['GET', `${ACME}/app/x`, '--as', 'session:anna@acme'], { route: 'app', allowed: true, code: null }],
  [['GET', '/app/x', '--as', 'session:a@b@acme'], { route: 'app', allowed: true, ...SPB }],
  [['GET', `${ACME}/app/x`, '--as', 'session:anna@neva'], { allowed: false, code: 'account_mismatch' }],
  [['GET', `${ACME}/app/x`, '--as', 'key:k1'], { allowed: false, code: 'session_required' }],
  [['GET', `${ACME}/app/x`, '--as', 'admin:Anna'], { allowed: false, code: 'not_found' }],
  [['GET', `${ACME}/api/x`], { route: 'keys', allowed: false, code: 'key_missing' }],
  [['GET', `${ACME}/api/x`, '--as', 'key:k1'], { allowed: true }],
  [['GET', `${ACME}/api/x`, '--as', 'session:anna@acme'], { allowed: false, code: 'key_missing' }],
  [['GET', `${ACME}/both`], { allowed: false, code: 'session_required' }],
  [['GET', `${ACME}/both`, '--as', 'key:k1'], { allowed: true }],
  [['GET', `${ACME}/admin`], { route: 'panel', allowed: false, code: 'not_found' }],
  [['GET', `${ACME}/admin`, '--as', 'admin:Anna'], { allowed: true, code: null }],
  [['GET', `${ACME}/admin`, '--as', 'admin:Carl'], { allowed: false, code: 'not_found' }],
  [
    ['GET', `${ACME}/never`, '--as', 'session:anna@acme'],
    { route: 'never', access: 'deny', allowed: false, code: 'route_denied', ...NOWHERE },
  ],
  [['GET', `${ACME}/other`], { route: null, access: null, allowed: false, code: 'route_denied', ...NOWHERE }],
  [['GET', `${ACME}/office`], { route: null, code: 'route_denied' }],
  [['GET', `${ACME}/office`, '--client', '10.1.2.3'], { route: 'office', allowed: true }],
  [
    ['GET', `${ACME}/ajax`, '--header', 'X-Mode: a', '--as', 'session:anna@acme'],
    { route: 'ajax', allowed: true },
  ],
  [['GET', `${ACME}/a//b`], { route: null, allowed: false, code: 'bad_path' }],
  [['GET', `${ACME}/app/../admin`], { route: null, allowed: false, code: 'bad_path' }],
  [['GET', `${ACME}/app/%2e%2e/admin`], { code: 'bad_path' }],
  [['GET', 'https://other.example/app'], { code: 'account_unknown', allowed: false }],
  [['GET', `${ACME}/.zasov/jwks.json`], { route: null, allowed: true, code: null }],
];

for (const [argv, expected] of cases)
  await test(`explain ${argv.join(' ')} decides as the gateway does`, async (t) => {
    const { code, out } = await explain(t, ...argv, '--json');
    t.equal(code, 0);
    const answer = JSON.parse(out) as object;
    t.match(answer, expected);
    t.strictSame(Object.keys(answer), ['route', 'access', 'allowed', 'code', 'region', 'node', 'limit']);
  });

await test('explain says of every earlier route why it missed', async (t) => {
  const { out } = await explain(t, 'GET', `${ACME}/app/x`, '--as', 'session:anna@acme');
  t.equal(
    out,
    `  1  static  missed: the path /app/x is not /static/**
  2  office  missed: the path /app/x is not /office
  3  ajax    missed: the path /app/x is not /ajax
  4  keys    missed: the path /app/x is not /api/**
  5  both    missed: the path /app/x is not /both
  6  panel   missed: the path /app/x is not /admin
  7  never   missed: the path /app/x is not /never
  8  app     matched: access session, limit person

allowed: a session of anna opens account acme
region spb, node http://127.0.0.1:9102
`,
  );
});

await test('explain refuses a command line that makes no sense', async (t) => {
  const bad = [
    ['GET'],
    ['GET', '/a', '/b'],
    ['get', '/a'],
    ['GET', 'ftp://x/a'],
    ['GET', 'x'],
    ['GET', '/a', '--as', 'anna'],
    ['GET', '/a', '--as', 'session:anna'],
    ['GET', '/a', '--header', 'x'],
    ['GET', '/a', '--nonsense'],
  ];
  for (const argv of bad) await t.rejects(runExplain(argv), { name: /UsageError|TypeError/ }, argv.join(' '));
});

const KEY_NOTE =
  'the master key will lie in the data directory: who takes the disk has both (secrets.master_key)';

await test('check shows mistakes with their places and exits with 1, and says that good policies are good', async (t) => {
  const folder = t.testdir({ 'good.yaml': SHORTEST, 'bad.yaml': `${SHORTEST}lgo: {}\n` });
  const check = (name: string, ...more: string[]) =>
    outputOf(t, () => runCheck(['--policies', join(folder, name), ...more]));
  t.strictSame(await check('good.yaml'), {
    code: 0,
    out: `${folder}/good.yaml: good (1 route, 1 region)\n  note: ${KEY_NOTE}\n`,
    err: '',
  });
  const bad = await check('bad.yaml');
  t.equal(bad.code, 1);
  t.match(bad.out, `${folder}/bad.yaml:6:1: unknown key: "lgo"; did you mean "log"?`);
  t.match(bad.out, /\n1 mistake\n$/);
  t.strictSame(JSON.parse((await check('good.yaml', '--json')).out), {
    ok: true,
    mistakes: [],
    refused: [],
    waiting: [],
    warnings: [KEY_NOTE],
  });
  const json = await check('bad.yaml', '--json');
  t.equal(json.code, 1);
  t.match(JSON.parse(json.out), {
    ok: false,
    mistakes: [
      {
        file: `${folder}/bad.yaml`,
        line: 6,
        column: 1,
        message: 'unknown key',
        text: 'lgo',
        suggestion: 'log',
      },
    ],
  });
  await t.rejects(runCheck(['--nonsense']), { code: /ERR_PARSE_ARGS/ });
  const explained = await outputOf(t, () => runExplain(['GET', '/', '--policies', join(folder, 'bad.yaml')]));
  t.equal(explained.code, 1);
  t.match(explained.err, 'bad.yaml:6:1: unknown key');
});

await test('the schema command prints the schema', async (t) => {
  t.strictSame(await outputOf(t, () => runSchema([])), { code: 0, out: policyJsonSchema(), err: '' });
});
