import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { loadPolicy } from '../../gateway/policy/load-policy.ts';
import { policyJsonSchema } from '../../gateway/policy/json-schema.ts';
import { findRoute } from '../../gateway/policy/find-route.ts';
import { goodPolicy, requestOf, SHORTEST } from '../support/policy-fixture.ts';
import { WHOLE } from './whole-policy.ts';

await test('every key of the contract is taken', async (t) => {
  const folder = t.testdir({ secret: 'x\n' });
  const file = join(folder, 'p.yaml');
  writeFileSync(file, WHOLE.replaceAll('FOLDER', folder));
  const reading = loadPolicy(file, { AWS_ACCESS_KEY_ID: 'id', AWS_SECRET_ACCESS_KEY: 'key' });
  t.notMatch(reading, { mistakes: Array });
  if ('mistakes' in reading) return;
  const { policy, settings } = reading;
  t.match(policy.backup, {
    everyMs: 86_400_000,
    atMs: 3 * 3_600_000,
    to: {
      kind: 's3',
      objectLockMs: 30 * 86_400_000,
      secretKey: { kind: 'env', name: 'AWS_SECRET_ACCESS_KEY' },
    },
    keep: 30,
    keepForMs: 90 * 86_400_000,
    include: [
      {
        name: 'crm-db',
        from: { command: ['pg_dump', '-Fc', 'crm'] },
        timeoutMs: 6 * 3_600_000,
        idleMs: 30 * 60_000,
      },
      { name: 'files', from: { url: 'http://127.0.0.1:9101/export', token: { kind: 'file' } } },
    ],
  });
  t.match(policy.masterKey, { kind: 'file' });
  t.match(policy.accounts, { kind: 'host', prefix: '', suffix: '.crm.localhost' });
  t.strictSame(policy.regions[1]?.nodes, ['http://127.0.0.1:9102'], 'origins without their slash');
  t.strictSame(
    [...policy.routing.homeByAccount],
    [
      ['123', 'nsk'],
      ['acme', 'spb'],
    ],
  );
  t.match(policy.routes[3], {
    name: 'app',
    access: 'session',
    onUnauthenticated: '401',
    bodyLimitBytes: 64 * 1024 ** 2,
  });
  t.equal(policy.routes[1]?.bodyLimitBytes, 1024 ** 2);
  t.match(policy.sessions, {
    rotateEveryMs: 60_000,
    graceMs: 20_000,
    crashGrace: true,
    bind: { userAgent: true, network: true },
    anonymous: { lifetimeMs: 1_800_000, perClient: { count: 50, windowMs: 60_000 } },
    upstreamLost: 'keep',
  });
  t.strictSame(
    policy.sessions.begin.map(({ subject }) => subject),
    [
      { from: 'form', name: 'username' },
      { from: 'json', path: ['user', 'login'] },
      { from: 'header', name: 'x-user' },
    ],
  );
  t.strictSame(
    policy.sessions.credentialChange.map(({ subject }) => subject),
    ['session', { from: 'query', name: 'id' }],
  );
  t.strictSame([...policy.apiKeys.heldHeaders], ['x-api-key', 'authorization', 'x-crm-key']);
  t.strictSame([...policy.apiKeys.places.queryNames], ['KEY']);
  t.ok(policy.trustedProxies.includes('10.0.0.1') && policy.trustedProxies.includes('2001:db8::5'));
  t.strictSame(policy.sessions.isPassive('/core/ajax/poll.php'), true);
  t.strictSame(['login_as', 'x'].map(policy.sessions.isStripped), [true, false]);
  t.strictSame(['CRMSESSID', 'lang'].map(policy.sessions.isVaulted), [true, false]);
  t.strictSame(['/saml', '/'].map(policy.sessions.allowsCrossSite), [true, false]);
  t.equal(settings.admins?.[1]?.certificate, 'cd'.repeat(32));
  t.strictSame(settings.limits['person']?.response_bytes, { count: 500 * 1024 ** 2, windowMs: 3_600_000 });
  t.strictSame(settings.api_keys?.max_age, { months: 6 });
});

await test('regions, routes and sessions are enough, and the rest has defaults', async (t) => {
  const { policy } = goodPolicy(t, SHORTEST);
  t.match(policy.listen, {
    public: { address: '0.0.0.0', port: 8443 },
    admin: { address: '127.0.0.1' },
    ops: { port: 9464 },
  });
  t.equal(policy.masterKey, undefined);
  t.strictSame(policy.accounts, { kind: 'single', account: 'main' });
  t.strictSame(policy.tls, {
    profile: 'intermediate',
    certificates: [{ kind: 'self_signed', hosts: ['localhost'] }],
  });
  t.match(policy.routing, { defaultRegion: 'msk', failover: ['msk'], retryAttempts: 2 });
  t.match(policy.routes[0], { onUnauthenticated: 'login', bodyLimitBytes: 64 * 1024 ** 2 });
  t.match(policy.sessions, {
    rotateEveryMs: 60_000,
    graceMs: 20_000,
    perSubject: 10,
    loginPage: '/login',
    upstreamLost: 'end',
  });
  t.equal(policy.sessions.isVaulted('ANYTHING'), true, "the CRM's cookies stay on the server");
  t.equal(policy.sessions.isStripped('x'), false);
  t.equal(policy.apiKeys.heldHeaders.size, 0, 'without keys no header is taken for one');
  t.equal(policy.logLevel, 'info');
  t.equal(policy.backup, undefined, 'nothing is copied unasked');
});

await test('a grace that is left out follows a short rotation', async (t) => {
  t.equal(goodPolicy(t, SHORTEST.replace('{}', '{ rotate_every: 3s }')).policy.sessions.graceMs, 1000);
});

await test('the hosts of accounts have a certificate when none is named', async (t) => {
  const { policy } = goodPolicy(t, `${SHORTEST}accounts: { host: "{account}.crm.example" }\n`);
  t.match(policy.tls.certificates, [{ hosts: ['*.crm.example', 'crm.example', 'localhost'] }]);
});

await test('a directory of policies is one set; tests, hidden files and other files are not part of it', async (t) => {
  const [regions = '', rest = ''] = SHORTEST.split(/(?=routes:)/);
  const folder = t.testdir({
    'b.yaml': rest,
    'a.yml': regions,
    'x.test.yaml': 'nonsense',
    '.hidden.yaml': 'nonsense',
    'policy.schema.json': '{}',
    'folder.yaml': { 'c.yaml': 'nonsense' },
  });
  const first = loadPolicy(folder, {});
  t.match(first, { policy: { regions: [{ id: 'msk' }] } });
  writeFileSync(join(folder, 'x.test.yaml'), 'other');
  t.match(
    loadPolicy(folder, {}),
    { hash: 'hash' in first ? first.hash : '' },
    'the hash is that of the policies',
  );
  writeFileSync(join(folder, 'b.yaml'), `${rest}\n# more\n`);
  const second = loadPolicy(folder, {});
  t.not('hash' in second && second.hash, 'hash' in first && first.hash);
});

await test('a set with a mark of byte order or of Windows lines is read the same', async (t) => {
  t.ok(goodPolicy(t, `\uFEFF${SHORTEST.replaceAll('\n', '\r\n')}`));
});

await test("the demo's policies are good and open what the demo needs", async (t) => {
  const reading = loadPolicy('policies', {});
  if ('mistakes' in reading) {
    t.strictSame(reading.mistakes, []);
    return;
  }
  const accessOf = (method: string, path: string) =>
    findRoute(reading.policy.routes, requestOf(method, path))?.access;
  const expected: readonly [string, string, string][] = [
    ['GET', '/', 'session'],
    ['GET', '/login', 'public'],
    ['POST', '/login', 'public'],
    ['GET', '/static/app.css', 'public'],
    ['GET', '/language', 'public'],
    ['GET', '/leads/5', 'session'],
    ['POST', '/profile/password', 'session'],
    ['GET', '/admin', 'admin'],
    ['POST', '/admin/users', 'admin'],
    ['GET', '/api/v4/leads', 'api_key'],
    ['POST', '/api/v4/login', 'public'],
    ['GET', '/healthz', 'deny'],
    ['POST', '/replication/operations', 'deny'],
    ['GET', '/live/ws', 'session'],
  ];
  for (const [method, path, access] of expected) t.equal(accessOf(method, path), access, `${method} ${path}`);
  const upload = findRoute(reading.policy.routes, requestOf('POST', '/leads/5/files'));
  t.equal(upload?.bodyLimitBytes, 256 * 1024 ** 2);
});

await test('the committed JSON Schema is the one that the schema makes', async (t) => {
  const committed = readFileSync('policies/policy.schema.json', 'utf8');
  t.ok(committed === policyJsonSchema(), 'npm run schema makes it again');
});

await test('every key in the JSON Schema is described', async (t) => {
  const bare: string[] = [];
  const walk = (schema: unknown, trail: string): void => {
    if (typeof schema !== 'object' || schema === null) return;
    for (const [key, child] of Object.entries('properties' in schema ? (schema.properties ?? {}) : {})) {
      if (!(child as { description?: string }).description) bare.push(`${trail}.${key}`);
    }
    for (const [key, child] of Object.entries(schema)) walk(child, `${trail}.${key}`);
  };
  walk(JSON.parse(policyJsonSchema()), '');
  t.strictSame(bare, []);
});
