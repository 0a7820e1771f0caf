import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'tap';
import { loadPolicy } from '../../gateway/policy/load-policy.ts';
import { policyJsonSchema } from '../../gateway/policy/json-schema.ts';
import { findRoute } from '../../gateway/policy/find-route.ts';
import { goodPolicy, requestOf, SHORTEST } from '../support/policy-fixture.ts';

/** The contract's example with every section, where "…" stood made real. */
const WHOLE = `# yaml-language-server: $schema=./policy.schema.json
listen:
  public: { address: 0.0.0.0, port: 8443 }
  admin: { address: 127.0.0.1, port: 8444 }
  ops: { address: 127.0.0.1, port: 9464 }
  redirect: { port: 8080 }
trusted_proxies: [10.0.0.1, "2001:db8::/64"]
workers: auto
store: { kind: redis, sentinels: ["s1:26379", "s2:26379"], name: zasov, password: "file:FOLDER/secret" }
secrets: { master_key: "file:FOLDER/secret" }
tls:
  profile: modern
  certificates:
    - { hosts: ["*.crm.localhost", "crm.localhost", "localhost", "127.0.0.1"], self_signed: true }
    - { hosts: [crm.example], acme: { directory: "https://acme.example/dir", email: ops@example, agree_terms: true } }
accounts: { host: "{account}.crm.localhost" }
regions:
  - id: msk
    nodes: ["http://127.0.0.1:9101"]
    role: auto
    health: { path: /healthz, every: 2s, timeout: 1s, unhealthy_after: 2, healthy_after: 2 }
    facility: { secret: "file:FOLDER/secret" }
    servers: ["msk-db:22"]
  - { id: spb, nodes: ["http://127.0.0.1:9102/"], role: primary }
  - { id: nsk, nodes: ["https://nsk.internal", "https://nsk.internal:8443"], role: replica, tls: { server_name: crm.internal } }
routing:
  home: { default: msk, accounts: { acme: spb, 123: nsk } }
  failover: [msk, spb, nsk]
  reads: nearest
  max_lag: 5s
  write_wait: 2s
  retry: { attempts: 2 }
routes:
  - { name: static, match: { path: ["/static/**", "/login"] }, access: public, limit: anonymous }
  - { name: api, match: { path: "/api/**" }, access: api_key, limit: api, writes: true, body_bytes: 1MiB }
  - { name: crm admin, match: { path: ["/admin", "/admin/**"] }, access: admin }
  - { name: app, match: { path: "/**" }, access: session, limit: person, on_unauthenticated: 401 }
sessions:
  rotate_every: 60s
  grace: 20s
  idle: 30m
  lifetime: 12h
  per_subject: 10
  crash_grace: true
  bind: [user_agent, network]
  device: prefer
  device_cookie: 10m
  login_page: /login
  allow_cross_site: [/saml]
  anonymous: { lifetime: 30m, per_client: 50/1m }
  vault: ["CRMSESSID"]
  strip: ["login_*"]
  passive: ["/core/ajax/poll*"]
  upstream_lost: keep
  begin:
    - match: { method: POST, path: /login, form: { action: login } }
      subject: form.username
      success:
        status: [302, 303]
        location: "!/login*"
        sets_cookie: CRMSESSID
        header: { cache-control: "*no-store*" }
        body_has: "welcome"
        body_lacks: "wrong"
    - { match: { json: { a.b: x } }, subject: json.user.login, success: { status: 200 } }
    - { match: { query: { do: login } }, subject: header.X-User, success: { status: 200 } }
  end:
    - match: { path: /logout }
  credential_change:
    - match: { method: POST, path: /profile/password }
      when: { form: [new_password] }
      success: { status: [200, 302, 303] }
      subject: session
    - { match: { path: /x }, subject: query.id }
api_keys:
  in: ["header:X-Api-Key", bearer, "query:KEY", basic]
  prefix: zsv
  max_age: 6mo
  overlap: 0s
  warn_before: [30d, 14d, 7d, 1d]
  rotate_on: [age, credential_change]
  own_keys: 3
  upstream:
    header: X-Crm-Key
    observe:
      - { match: { method: POST, path: /api/login }, subject: json.login, success: { status: 200 }, credential: json.data.key, client_gets: nothing, keys: 2 }
      - { match: { path: /me }, subject: session, credential: header.X-Token }
  webhook: { url: "http://127.0.0.1:9101/hooks/keys", secret: "file:FOLDER/secret" }
admins:
  - { name: Anna, certificate: "sha256:${'ab'.repeat(32)}" }
  - { name: Борис, certificate: "sha256:${Array.from({ length: 32 }, () => 'CD').join(':')}" }
admin_access: { networks: [10.0.0.0/8], passkey: require, approval_expires: 1h, servers: ["msk-db:22"] }
limits:
  anonymous: { per: client, requests: 60/1m }
  person: { per: session, requests: 600/1m, response_bytes: 500MiB/1h, parallel: 32 }
  api: { per: api_key, requests: 7/1s, response_bytes: 2GiB/1d }
  login: { per: [client, subject], failures: 10/15m, block: 15m }
protection:
  header_bytes: 16KiB
  body_bytes: 64MiB
  header_timeout: 10s
  body_idle_timeout: 30s
  upstream_timeout: 60s
  connections: 20000
  connections_per_client: 200
  stream_max_age: 12h
  drain: 30s
audit: { dir: var/audit }
backup:
  every: 24h
  at: "03:00"
  recipients: ["age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"]
  to: { s3: { endpoint: "https://s3.example", bucket: backups, prefix: crm/, object_lock: 30d } }
  keep: 30
  drill_every: 7d
  include:
    - { name: crm-db, dump: [pg_dump, -Fc, crm], restore: [pg_restore, -d, crm] }
log: { level: info }
`;

await test('every key of the contract is taken', async (t) => {
  const folder = t.testdir({ secret: 'x\n' });
  const file = join(folder, 'p.yaml');
  writeFileSync(file, WHOLE.replaceAll('FOLDER', folder));
  const reading = loadPolicy(file, {});
  t.notMatch(reading, { mistakes: Array });
  if ('mistakes' in reading) return;
  const { policy, settings } = reading;
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
