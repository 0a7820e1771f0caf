/** Where the CRM runs, in one line. */
export const R = 'regions: [{ id: msk, nodes: ["http://127.0.0.1:9101"] }]\n';
/** One route, in one line. */
export const T = 'routes: [{ name: app, match: { path: /** }, access: session }]\n';
const S = 'sessions: {}\n';
/** Three good lines, so that what is added begins in line 4. */
export const GOOD = R + T + S;

const DURATION = 'a number and a unit: 500ms, 30s, 15m, 12h, 30d, 2w';
const PATH =
  'a path from "/", with * (anything within one segment) and ** (any segments, alone between slashes)';
const TEXT = 'text, in quotes if it looks like a number; * stands for anything, letter case counts';
const ROUTE_KEYS = 'name, match, access, limit, headers, cors, on_unauthenticated, writes, body_bytes';
const ALL_KEYS =
  'listen, trusted_proxies, workers, store, secrets, tls, accounts, regions, routing, routes, sessions, api_keys, admins, admin_access, limits, headers, cors, protection, audit, backup, log';

/** What is written, and every line that must be said of it. */
export const BAD_POLICIES: readonly [policy: string, ...says: string[]][] = [
  // TLS to the nodes.
  [
    `regions: [{ id: msk, nodes: ["http://127.0.0.1:1"], tls: { server_name: node.internal } }]\n${T}${S}`,
    '1:53: regions[0].tls: the node http://127.0.0.1:1 is not spoken to over TLS',
  ],
  [
    `regions: [{ id: msk, nodes: ["https://127.0.0.1:1"], tls: { server_name: "a b" } }]\n${T}${S}`,
    '1:74: regions[0].tls.server_name: not a host name: "a b". Allowed: a host name or an IP address, without a port: node.crm.internal',
  ],
  // Form.
  ['', '1:1: the file is empty'],
  ['# only a comment\n', '1:1: the file is empty'],
  ['- a\n- b\n', '1:1: a policy file is a mapping: "regions:", "routes:", "sessions:" …'],
  ['just text\n', '1:1: a policy file is a mapping: "regions:", "routes:", "sessions:" …'],
  [
    `${GOOD}log: [\n`,
    '5:1: YAML: Flow sequence in block collection must be sufficiently indented and end with a ]',
  ],
  [`${GOOD}---\nlog: {}\n`, '4:1: a policy file holds one YAML document'],
  [`%YAML 1.1\n---\n${GOOD}`, '1:1: YAML directives (%YAML, %TAG) have no place in a policy'],
  [`${GOOD}log: &a { level: info }\n`, '4:9: anchors have no place in a policy; write the value out: "&a"'],
  [
    `${GOOD}log: { level: *a }\n`,
    '4:15: aliases have no place in a policy; write the value out, or put text that begins with * into quotes: "*a"',
  ],
  [
    `${R}${T}sessions: { vault: [*] }\n`,
    '3:21: YAML: Alias cannot be an empty string',
    '3:21: aliases have no place in a policy; write the value out, or put text that begins with * into quotes: "*"',
  ],
  [
    `${GOOD}log: { <<: { level: info } }\n`,
    '4:8: merge keys have no place in a policy; write the keys out: "<<"',
  ],
  [`${GOOD}log: { level: !!str info }\n`, '4:21: tags have no place in a policy: "tag:yaml.org,2002:str"'],
  [`${GOOD}? [a]\n: b\n`, '4:3: a key is a plain word'],
  [`${GOOD}__proto__: { level: info }\n`, '4:1: no key has this name: "__proto__"'],
  [`${GOOD}sessions: {}\n`, '4:1: key given twice, first in line 3: "sessions"'],
  [`${GOOD}log: { level: info, level: warn }\n`, '4:21: key given twice, first in line 4: "level"'],
  ['['.repeat(20_000), '1:1: YAML: it is nested too deeply'],

  // Keys.
  [`${GOOD}lgo: {}\n`, `4:1: unknown key: "lgo"; did you mean "log"? Allowed: ${ALL_KEYS}`],
  [`${GOOD}qwertyuiop: {}\n`, `4:1: unknown key: "qwertyuiop". Allowed: ${ALL_KEYS}`],
  [`${GOOD}log: { levle: info }\n`, '4:8: log: unknown key: "levle"; did you mean "level"? Allowed: level'],
  [`${GOOD}constructor: {}\n`, `4:1: unknown key: "constructor". Allowed: ${ALL_KEYS}`],
  [
    `${R}routes: [{ name: a, match: { path: /x }, acess: public }]\n${S}`,
    `2:10: routes[0]: the key "access" is missing. Allowed: public, session, api_key, session_or_key, admin, deny`,
    `2:42: routes[0]: unknown key: "acess"; did you mean "access"? Allowed: ${ROUTE_KEYS}`,
  ],
  [
    'log: {}\n',
    '1:1: the key "regions" is missing. Allowed: one "- entry" a line, or [entry, entry]',
    '1:1: the key "routes" is missing. Allowed: one "- entry" a line, or [entry, entry]',
    '1:1: the key "sessions" is missing. Allowed: the keys rotate_every, grace, idle, lifetime, per_subject, crash_grace, bind, device, device_cookie, login_page, allow_cross_site, anonymous, vault, strip, passive, upstream_lost, begin, end, credential_change',
  ],
  [`${GOOD}log:\n`, '4:1: log: nothing is written here. Allowed: the keys level'],
  [`${GOOD}log: info\n`, '4:6: log: not a mapping: "info". Allowed: the keys level'],
  [
    `regions: {}\n${T}${S}`,
    '1:10: regions: not a list: "{}". Allowed: one "- entry" a line, or [entry, entry]',
  ],
  [`regions: []\n${T}${S}`, '1:10: regions: needs at least one entry'],

  // Scalars.
  [
    `${GOOD}log: { level: inof }\n`,
    '4:15: log.level: not a possible value: "inof"; did you mean "info"? Allowed: trace, debug, info, warn, error',
  ],
  [
    `${R}${T}sessions:\n  idle: 30\n`,
    `4:9: sessions.idle: not a duration: "30". Allowed: ${DURATION}; from 1s to 90d`,
  ],
  [
    `${R}${T}sessions:\n  idle: 30 min\n`,
    `4:9: sessions.idle: not a duration: "30 min". Allowed: ${DURATION}; from 1s to 90d`,
  ],
  [
    `${R}${T}sessions:\n  idle: 100d\n`,
    `4:9: sessions.idle: the duration is too large: "100d". Allowed: ${DURATION}; from 1s to 90d`,
  ],
  [
    `${R}${T}sessions: { rotate_every: 10ms }\n`,
    `3:27: sessions.rotate_every: the duration is too small: "10ms". Allowed: ${DURATION}; from 100ms to 1d`,
  ],
  [
    `${R}${T}sessions: { per_subject: 0 }\n`,
    '3:26: sessions.per_subject: not a possible number: "0". Allowed: whole numbers from 1 to 10000',
  ],
  [
    `${R}${T}sessions: { per_subject: 1.5 }\n`,
    '3:26: sessions.per_subject: not a possible number: "1.5". Allowed: whole numbers from 1 to 10000',
  ],
  [
    `${R}${T}sessions: { crash_grace: yes }\n`,
    '3:26: sessions.crash_grace: neither true nor false: "yes". Allowed: true, false',
  ],
  [
    `${GOOD}protection: { body_bytes: 64mb }\n`,
    '4:27: protection.body_bytes: not a size: "64mb". Allowed: a number and a unit: 512B, 64KiB, 64MiB, 2GiB; from 1B to 1TiB',
  ],
  [
    `${GOOD}trusted_proxies: [10.0.0.0/33, 0.0.0.0/0]\n`,
    '4:19: trusted_proxies[0]: the prefix length is 0 to 32: "10.0.0.0/33". Allowed: an address or a CIDR: 10.0.0.0/8, 192.0.2.7, 2001:db8::/32',
    '4:32: trusted_proxies[1]: this would believe everybody: "0.0.0.0/0". Allowed: an address or a CIDR: 10.0.0.0/8, 192.0.2.7, 2001:db8::/32',
  ],
  [
    `${GOOD}listen: { public: { port: 70000 } }\n`,
    '4:27: listen.public.port: not a possible number: "70000". Allowed: whole numbers from 0 to 65535',
  ],
  [
    `${GOOD}workers: many\n`,
    '4:10: workers: not a possible number: "many". Allowed: auto, or whole numbers from 1 to 256',
  ],

  // Globs and matches.
  [
    `${R}routes:\n  - name: a\n    match: { path: [/ok, "x"] }\n    access: deny\n${S}`,
    `4:26: routes[0].match.path[1]: a path starts with "/": "x". Allowed: ${PATH}`,
  ],
  [
    `${R}routes: [{ name: a, match: { path: "/a**" }, access: deny }]\n${S}`,
    `2:36: routes[0].match.path: ** stands alone between slashes: "/a**". Allowed: ${PATH}`,
  ],
  [
    `${R}routes: [{ name: a, match: { path: 5 }, access: deny }]\n${S}`,
    `2:36: routes[0].match.path: not a path: "5". Allowed: ${PATH}`,
  ],
  [
    `${R}routes: [{ name: a, match: {}, access: deny }]\n${S}`,
    '2:28: routes[0].match: needs at least one condition. Allowed: path: "/**" for everything',
  ],
  [
    `${R}routes: [{ name: a, match: { form: { x: y } }, access: deny }]\n${S}`,
    '2:28: routes[0].match: needs at least one condition. Allowed: path: "/**" for everything',
    '2:30: routes[0].match: unknown key: "form". Allowed: path, host, method, query, header, network',
  ],
  [
    `${R}routes: [{ name: a, match: { method: post }, access: deny }]\n${S}`,
    '2:38: routes[0].match.method: not a method: "post". Allowed: a method in capitals: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS',
  ],
  [
    `${R}routes: [{ name: a, match: { query: { id: 1 } }, access: deny }]\n${S}`,
    `2:43: routes[0].match.query.id: not a value: "1". Allowed: ${TEXT}`,
  ],
  [
    `${R}routes: [{ name: a, match: { path: /x }, access: deny, on_unauthenticated: 403 }]\n${S}`,
    '2:76: routes[0].on_unauthenticated: not a possible value: "403"; did you mean "401"? Allowed: login, 401',
  ],
  [
    `${R}${T}sessions: { begin: [{ match: { path: /l }, subject: username, success: {} }] }\n`,
    '3:53: sessions.begin[0].subject: not a place of a value: "username". Allowed: form.NAME, query.NAME, json.a.b, header.NAME',
    '3:72: sessions.begin[0].success: needs at least one condition. Allowed: status: [302, 303], for example',
  ],
  [
    `${R}${T}sessions: { vault: ["a b"], login_page: "//evil" }\n`,
    '3:21: sessions.vault[0]: not a cookie name: "a b". Allowed: a cookie name; * stands for anything, and "*" alone for all',
    '3:41: sessions.login_page: not a path of a page: "//evil". Allowed: a path from "/", with a query if needed: /login, /doku.php?do=login',
  ],

  // References.
  [
    `${GOOD}routing: { home: { default: mks }, failover: [msk, msk] }\n`,
    '4:29: routing.home.default: no region has this id: "mks"; did you mean "msk"? Allowed: msk',
    '4:52: routing.failover[1]: this region in the order of failover was used before, in p.yaml:4: "msk"',
  ],
  [
    `${GOOD}routing: { home: { accounts: { acme: spb, "a b": msk } } }\n`,
    '4:38: routing.home.accounts.acme: no region has this id: "spb". Allowed: msk',
    '4:43: routing.home.accounts: not an account name: "a b". Allowed: letters, digits, - and _, 63 at most, beginning and ending with a letter or digit',
  ],
  [
    `${GOOD}routing: { write_wait: 2h }\n`,
    '4:24: routing.write_wait: the duration is too large: "2h". Allowed: a number and a unit: 500ms, 30s, 15m, 12h, 30d, 2w; from 0s to 1m',
  ],
  [
    `${R}routes: [{ name: a, match: { path: /x }, access: deny, limit: persn }]\n${S}limits: { person: { per: session, parallel: 2 } }\n`,
    '2:63: routes[0].limit: no limit has this name: "persn"; did you mean "person"? Allowed: person',
  ],
  [
    `${R}routes: [{ name: a, match: { path: /x }, access: deny, limit: toString }]\n${S}`,
    '2:63: routes[0].limit: no limit has this name: "toString". Allowed: none is defined',
  ],
  [
    `${R}routes:\n  - { name: a, match: { path: /x }, access: deny }\n  - { name: a, match: { path: /y }, access: deny }\n${S}`,
    '4:13: routes[1].name: this route name was used before, in p.yaml:3: "a"',
  ],
  [
    `regions:\n  - { id: a, nodes: ["http://x:1"] }\n  - { id: a, nodes: ["http://x:1"] }\n${T}${S}`,
    '3:11: regions[1].id: this region id was used before, in p.yaml:2: "a"',
    '3:22: regions[1].nodes[0]: this node was used before, in p.yaml:2: "http://x:1"',
  ],
  [
    `${R}routes:\n  - { name: all, match: { path: "/**" }, access: session }\n  - { name: admin, match: { path: "/admin/**" }, access: admin }\n${S}`,
    '4:20: routes[1]: no request reaches this route, because "all" above take all of its requests: "admin"',
  ],
  [
    `${R}${T}sessions: { rotate_every: 30s, grace: 20s }\n`,
    '3:39: sessions.grace: longer than half of rotate_every: "20s". Allowed: up to 15000ms here; 10000ms if it is left out',
  ],
  [
    `${R}${T}sessions: { grace: 31s }\n`,
    '3:20: sessions.grace: longer than half of rotate_every: "31s". Allowed: up to 30000ms here; 20000ms if it is left out',
  ],
  [
    `${GOOD}listen: { public: { port: 9464 }, ops: { port: 9464 } }\n`,
    '4:48: listen.ops.port: the public listener has this port already: "9464"',
  ],

  // Alternatives.
  [`${GOOD}accounts: {}\n`, '4:11: accounts: needs exactly one of: host, header, single'],
  [
    `${GOOD}accounts: { single: a, header: X-A }\n`,
    '4:11: accounts: needs exactly one of: host, header, single',
  ],
  [
    `${GOOD}accounts: { host: crm.example }\n`,
    '4:19: accounts.host: not a host with {account} in it: "crm.example". Allowed: a host name with {account} once: "{account}.crm.example"',
  ],
  [
    `${GOOD}tls: { certificates: [{ hosts: [a.b] }] }\n`,
    '4:23: tls.certificates[0]: needs exactly one of: self_signed, cert with key, acme',
  ],
  [
    `${GOOD}store: { kind: redis }\n`,
    '4:8: store: redis needs exactly one of: url, sentinels with name, cluster',
  ],
  [
    `${GOOD}store: { url: "redis://h:1" }\n`,
    '4:8: store: the embedded store has no server; write kind: redis',
  ],

  // People and backups.
  [
    `${GOOD}admins: [{ name: A, certificate: "sha256:${'a'.repeat(64)}" }]\n`,
    '4:9: admins: there are exactly two administrators. Allowed: two entries',
  ],
  [
    `${GOOD}admins: [{ name: A, certificate: "sha256:${'a'.repeat(64)}" }, { name: A, certificate: "sha256:${'a'.repeat(64)}" }]\n`,
    '4:119: admins[1].name: this administrator was used before, in p.yaml:4: "A"',
    `4:135: admins[1].certificate: this certificate was used before, in p.yaml:4: "sha256:${'a'.repeat(64)}"`,
  ],
  [
    `${GOOD}api_keys: { max_age: 7mo, in: [cookie], own_keys: -1, upstream: { header: X-Key, observe: [{ match: { path: /x }, subject: json.a, credential: form.a }] } }\n`,
    '4:22: api_keys.max_age: a key lives 1 to 6 months: "7mo". Allowed: months or a duration: 6mo, 90d, 12h; at most 6mo',
    '4:32: api_keys.in[0]: not a place of a key: "cookie". Allowed: "header:X-Api-Key", bearer, basic, "query:NAME"',
    '4:51: api_keys.own_keys: not a possible number: "-1". Allowed: whole numbers from 0 to 100',
    '4:144: api_keys.upstream.observe[0].credential: not a place of a value: "form.a". Allowed: json.a.b, header.NAME',
  ],

  [
    `regions: [{ id: a, nodes: ["http://h:1"], servers: ["db:23"] }]\n${T}sessions: {}\nadmin_access: { servers: ["db:22"] }\n`,
    '1:53: regions[0].servers[0]: admin_access.servers does not name it: "db:23"; did you mean "db:22"? Allowed: db:22',
  ],

  // Secrets are never repeated.
  [
    `${GOOD}secrets: { master_key: hunter2 }\n`,
    '4:24: secrets.master_key: not a reference to a secret (the secret itself never stands in a policy). Allowed: "file:PATH", "env:NAME" or "credential:NAME" (systemd)',
  ],
  [
    `${GOOD}secrets: { master_key: [hunter2] }\n`,
    '4:24: secrets.master_key: not a reference to a secret (the secret itself never stands in a policy). Allowed: "file:PATH", "env:NAME" or "credential:NAME" (systemd)',
  ],
  [
    `${GOOD}store: { kind: redis, url: "redis://u:hunter2@h" }\n`,
    '4:28: store.url: not a URL that may stand here. Allowed: redis://… or rediss://… without name and password: redis://127.0.0.1:6379',
  ],
  [
    `${GOOD}secrets: { master_key: "env:NOT_SET" }\n`,
    '4:24: secrets.master_key: the secret is not there: environment variable NOT_SET is not set',
  ],
  [
    `${GOOD}secrets: { master_key: "file:FOLDER/none" }\nstore: { kind: redis, url: "redis://h:1" }\n`,
    '4:24: secrets.master_key: the secret is not there: FOLDER/none does not exist',
  ],
];
