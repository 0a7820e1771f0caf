/** The contract's example with every section, where "…" stood made real; `FOLDER` is one with a file `secret`. */
export const WHOLE = `# yaml-language-server: $schema=./policy.schema.json
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
  keep_for: 90d
  drill_every: 7d
  include:
    - { name: crm-db, dump: [pg_dump, -Fc, crm], restore: [pg_restore, -d, crm] }
    - { name: files, http: "http://127.0.0.1:9101/export", token: "file:FOLDER/secret", restore: [tee, /srv/export], timeout: 1h }
log: { level: info }
`;
