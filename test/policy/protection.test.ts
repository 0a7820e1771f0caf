import { test } from 'tap';

import { loweredProtection } from '../../gateway/policy/protection-table.ts';
import { goodPolicy, SHORTEST } from '../support/policy-fixture.ts';

const HEAD = 'regions:\n  - { id: msk, nodes: ["http://127.0.0.1:9101"] }\n';

/** Texts of `routes:` in short: one route a line, name, path and access, and more of it. */
function routes(...lines: readonly string[]): string {
  const entries = lines.map((line) => {
    const [name = '', path = '', access = '', ...more] = line.split(' ');
    return `  - { name: ${name}, match: { path: "${path}" }, access: ${access}${more.length === 0 ? '' : `, ${more.join(' ')}`} }\n`;
  });
  const limits = 'limits: { a: { per: client, requests: 60/1m }, b: { per: client, requests: 60/1m } }\n';
  return `${HEAD}routes:\n${entries.join('')}sessions: {}\n${limits}`;
}

const ROUTES: readonly [
  says: string,
  before: readonly string[],
  after: readonly string[],
  lowered: RegExp | undefined,
][] = [
  [
    'nothing changed',
    ['static /static/** public', 'app /** session'],
    ['static /static/** public', 'app /** session'],
    undefined,
  ],
  ['another name is no lower protection', ['app /** session'], ['all /** session'], undefined],
  ['a route is opened', ['app /** session'], ['app /** public'], /"app": access session → public/],
  ['a route is closed', ['app /** session'], ['app /** deny'], undefined],
  ['a route is for administrators now', ['app /** session'], ['app /** admin'], undefined],
  [
    'an admin route is opened',
    ['x /admin/** admin', 'app /** session'],
    ['app /** session'],
    /access admin → session/,
  ],
  ['a deny is taken away', ['x /x/** deny', 'app /** session'], ['app /** session'], /access deny → session/],
  ['a deny becomes admin', ['x /** deny'], ['x /** admin'], /access deny → admin/],
  [
    'a hole in front',
    ['app /** session'],
    ['hole /api/x public', 'app /** session'],
    /"hole".* session → public/,
  ],
  ['a route behind the one that takes all is nothing', ['app /** session'], ['app /** session'], undefined],
  [
    'a stricter one in front',
    ['app /** session'],
    ['x /x/** deny', 'y /y/** admin', 'app /** session'],
    undefined,
  ],
  [
    'the order is turned round',
    ['x /x/** deny', 'app /** session'],
    ['app /y/** session', 'x /x/** deny'],
    undefined,
  ],
  [
    'a deny comes after what it denied',
    ['x /x/** deny', 'app /x/y session'].slice(0, 1),
    ['app /x/y session', 'x /x/** deny'],
    /deny → session/,
  ],
  [
    'requests that no route took',
    ['app /app/** session'],
    ['app /app/** session', 'more /more/** public'],
    /"more".* no route took are public/,
  ],
  ['a wider path', ['app /app/** session'], ['app /** session'], /no route took are session/],
  ['a narrower path', ['app /** session'], ['app /app/** session'], undefined],
  ['a route is split', ['app /** session'], ['one /a/** session', 'two /** session'], undefined],
  ['keys in the place of sessions', ['app /** session'], ['app /** api_key'], /session → api_key/],
  ['one of two ways in', ['app /** session_or_key'], ['app /** api_key'], undefined],
  ['a second way in', ['app /** api_key'], ['app /** session_or_key'], /api_key → session_or_key/],
  ['a limit is gone', ['app /** session limit: a'], ['app /** session'], /limit a → none/],
  ['another limit', ['app /** session limit: a'], ['app /** session limit: b'], /limit a → b/],
  ['a limit is new', ['app /** session'], ['app /** session limit: a'], undefined],
  [
    'a larger body',
    ['app /** session body_bytes: 1KiB'],
    ['app /** session body_bytes: 2KiB'],
    /body_bytes 1024 → 2048/,
  ],
  [
    'other sites’ scripts',
    ['app /** session'],
    ['app /** session cors: { origins: ["https://shop.example"] }'],
    /"app": other cors/,
  ],
  [
    'no security header',
    ['app /** session'],
    ['app /** session headers: { nosniff: false }'],
    /"app": other headers/,
  ],
  ['a smaller body', ['app /** session'], ['app /** session body_bytes: 2KiB'], undefined],
];

void test('what a change of routes lowers is seen by what they match, not by their names', (t) => {
  for (const [says, before, after, lowered] of ROUTES) {
    const lines = loweredProtection(goodPolicy(t, routes(...before)), goodPolicy(t, routes(...after)));
    if (lowered === undefined) t.same(lines, [], says);
    else t.match(lines.join('\n'), lowered, says);
  }
  t.end();
});

const AGE = 'age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p';
const BACKUP = (more: string) => `backup: { recipients: [${AGE}], to: { dir: /a }${more} }\n`;
const begin = (status: number) =>
  `begin: [{ match: { path: /login }, subject: form.user, success: { status: ${status} } }]`;

/** Of every field: a value, and one that protects less. */
const FIELDS: readonly [stronger: string, weaker: string][] = [
  ['listen: { admin: { address: 127.0.0.1 } }', 'listen: { admin: { address: 0.0.0.0 } }'],
  ['listen: { ops: { address: 127.0.0.1 } }', 'listen: { ops: { address: "::" } }'],
  ['trusted_proxies: [10.0.0.1]', 'trusted_proxies: [10.0.0.1, 10.0.0.2]'],
  ['tls: { profile: modern }', 'tls: { profile: intermediate }'],
  ['sessions: { rotate_every: 1m }', 'sessions: { rotate_every: 2m }'],
  ['sessions: { grace: 10s }', 'sessions: { grace: 25s }'],
  ['sessions: { idle: 10m }', 'sessions: {}'],
  ['sessions: { lifetime: 8h }', 'sessions: { lifetime: 9h }'],
  ['sessions: { per_subject: 2 }', 'sessions: { per_subject: 3 }'],
  ['sessions: {}', 'sessions: { crash_grace: true }'],
  ['sessions: { bind: [user_agent, network] }', 'sessions: { bind: [network] }'],
  ['sessions: {}', 'sessions: { device: "off" }'],
  ['sessions: { device_cookie: 10m }', 'sessions: { device_cookie: 20m }'],
  ['sessions: { allow_cross_site: [/saml] }', 'sessions: { allow_cross_site: ["/saml*"] }'],
  ['sessions: {}', 'sessions: { anonymous: { lifetime: 1h } }'],
  ['sessions: {}', 'sessions: { anonymous: { per_client: 100/1m } }'],
  ['sessions: {}', 'sessions: { vault: [SID] }'],
  ['sessions: { strip: ["login_*"] }', 'sessions: { strip: [login_as] }'],
  ['sessions: { passive: [/poll] }', 'sessions: {}'],
  ['sessions: {}', 'sessions: { upstream_lost: keep }'],
  [`sessions: { ${begin(302)} }`, `sessions: { ${begin(200)} }`],
  ['sessions: { end: [{ match: { path: /logout } }] }', 'sessions: {}'],
  [
    'sessions: { credential_change: [{ match: { path: /p } }] }',
    'sessions: { credential_change: [{ match: { path: /q } }] }',
  ],
  ['api_keys: {}', 'api_keys: { in: ["header:X-Api-Key", bearer, "query:key"] }'],
  ['api_keys: { max_age: 30d }', 'api_keys: { max_age: 2mo }'],
  ['api_keys: {}', 'api_keys: { overlap: 1h }'],
  ['api_keys: {}', 'api_keys: { rotate_on: [age] }'],
  ['api_keys: {}', 'api_keys: { imported: accept }'],
  ['api_keys: {}', 'api_keys: { own_keys: 2 }'],
  ['log: {}', 'cors: { origins: ["https://shop.example"] }'],
  ['headers: {}', 'headers: { nosniff: false }'],
  ['admin_access: { networks: [10.0.0.0/8] }', 'admin_access: {}'],
  ['admin_access: { networks: [10.0.0.0/8] }', 'admin_access: { networks: [10.0.0.0/8, 192.0.2.0/24] }'],
  ['admin_access: {}', 'admin_access: { passkey: "off" }'],
  ['admin_access: {}', 'admin_access: { approval_expires: 2h }'],
  ['admin_access: { servers: ["a:22"] }', 'admin_access: { servers: ["a:22", "b:22"] }'],
  ['protection: {}', 'protection: { header_bytes: 32KiB }'],
  ['protection: {}', 'protection: { body_bytes: 65MiB }'],
  ['protection: {}', 'protection: { header_timeout: 11s }'],
  ['protection: {}', 'protection: { body_idle_timeout: 31s }'],
  ['protection: {}', 'protection: { connections: 20001 }'],
  ['protection: {}', 'protection: { connections_per_client: 201 }'],
  ['protection: {}', 'protection: { stream_max_age: 13h }'],
  ['limits: { a: { per: client, requests: 60/1m } }', 'limits: { a: { per: session, requests: 60/1m } }'],
  ['limits: { a: { per: client, requests: 60/1m } }', 'limits: { a: { per: client, requests: 61/1m } }'],
  ['limits: { a: { per: client, requests: 60/1m } }', 'limits: { a: { per: client, requests: 60/59s } }'],
  [
    'limits: { a: { per: client, requests: 9/1m, parallel: 2 } }',
    'limits: { a: { per: client, requests: 9/1m } }',
  ],
  ['limits: { a: { per: client, parallel: 2 } }', 'limits: { a: { per: client, parallel: 3 } }'],
  [
    'limits: { a: { per: client, response_bytes: 1MiB/1h } }',
    'limits: { a: { per: client, response_bytes: 2MiB/1h } }',
  ],
  [
    'limits: { a: { per: client, failures: 5/1m, block: 5m } }',
    'limits: { a: { per: client, failures: 6/1m, block: 5m } }',
  ],
  [
    'limits: { a: { per: client, failures: 5/1m, block: 5m } }',
    'limits: { a: { per: client, failures: 5/1m, block: 4m } }',
  ],
  ['audit: { dir: a }', 'audit: { dir: b }'],
  [BACKUP(''), ''],
  [BACKUP(', every: 1h'), BACKUP(', every: 2h')],
  [BACKUP(', keep: 9'), BACKUP(', keep: 8')],
  [BACKUP(', keep_for: 9d'), BACKUP(', keep_for: 8d')],
  [BACKUP(', drill_every: 1d'), BACKUP(', drill_every: 2d')],
  [BACKUP(', include: [{ name: db, dump: [a], restore: [b] }]'), BACKUP('')],
  [BACKUP(''), `backup: { recipients: [${AGE}], to: { dir: /b } }\n`],
];

/** A policy with a section of the test's own. */
function withSection(section: string): string {
  const base = section.startsWith('sessions:') ? SHORTEST.replace('sessions: {}\n', '') : SHORTEST;
  return `${base}${section}\n`;
}

void test('every field of the table is lowered in one direction only, and said with both values', (t) => {
  for (const [stronger, weaker] of FIELDS) {
    const [before, after] = [goodPolicy(t, withSection(stronger)), goodPolicy(t, withSection(weaker))];
    t.match(loweredProtection(before, after), [/^[\w.]+: .+ → .+$/], `${stronger} → ${weaker}`);
    const isEither = /begin|credential_change|^audit|^headers|per: session|dir: \/b/.test(weaker);
    const back = loweredProtection(after, before);
    t.equal(back.length, isEither ? 1 : 0, `${weaker} → ${stronger}: ${back.join()}`);
    t.same(loweredProtection(before, before), []);
  }
  t.end();
});

void test('what is said holds no hidden character, whatever the policy holds', (t) => {
  const before = goodPolicy(t, withSection('sessions: { passive: ["/a\u202eb"] }'));
  const [line = ''] = loweredProtection(before, goodPolicy(t, withSection('sessions: {}')));
  t.match(line, 'a\\u{202e}b');
  t.notMatch(line, /[\p{Cc}\p{Cf}]/u);
  t.end();
});

void test('a policy is the same however it is written and wherever it lies', (t) => {
  const one = goodPolicy(t, SHORTEST);
  const other = goodPolicy(t, `# a comment\n${SHORTEST.split('routes:').join('\nroutes:')}`);
  t.equal(one.contentHash, other.contentHash);
  t.not(goodPolicy(t, withSection('log: { level: debug }')).contentHash, one.contentHash);
  t.end();
});
