import { GOOD, R } from './bad-policy-table.ts';

/** As `BAD_POLICIES`: what limits, headers and cross-origin rules may not say. */
export const BAD_LIMITS: readonly [policy: string, ...says: string[]][] = [
  [
    `${GOOD}limits: { a: { per: client, requests: 60 } }\n`,
    '4:39: limits.a.requests: not a rate: "60". Allowed: a number, a slash and a duration: 7/1s, 60/1m, 1000/1d',
  ],
  [
    `${GOOD}limits: { a: { per: client, requests: 0/1m } }\n`,
    '4:39: limits.a.requests: a rate of nothing lets nothing through; use access: deny: "0/1m". Allowed: a number, a slash and a duration: 7/1s, 60/1m, 1000/1d',
  ],
  [
    `${GOOD}limits: { a: { per: client } }\n`,
    '4:14: limits.a: limits nothing. Allowed: at least one of requests, response_bytes, parallel, failures',
  ],
  [
    `${GOOD}limits: { a: { per: [session, api_key], failures: 3/1m } }\n`,
    '4:14: limits.a: nobody has a session or key before signing in, so failures need another per. Allowed: client, subject, account',
  ],
  [
    `${GOOD}limits: { " ": { per: client, parallel: 1 } }\n`,
    '4:11: limits: not a name: " ". Allowed: letters, digits, spaces, dots, - and _, 64 at most, beginning with a letter or digit',
  ],
  [
    `${GOOD}listen: { public: { proxy_protocol: true } }\n`,
    '4:37: listen.public.proxy_protocol: with no trusted_proxies every connection would be refused',
  ],
  [
    `${GOOD}cors: { origins: ["*"], credentials: true }\n`,
    '4:7: cors: any site could act as whoever is signed in. Allowed: origins by name, or credentials: false',
  ],
  [
    `${GOOD}cors: { origins: ["https://shop.example/"] }\n`,
    '4:19: cors.origins[0]: not an origin: "https://shop.example/". Allowed: https://shop.example, https://shop.example:8443, or "*" alone',
  ],
  [
    `${GOOD}headers: { referrer_policy: none, nosniff: on }\n`,
    '4:29: headers.referrer_policy: not a possible value: "none". Allowed: no-referrer, same-origin, strict-origin, strict-origin-when-cross-origin, origin, origin-when-cross-origin, no-referrer-when-downgrade, unsafe-url, off',
    '4:44: headers.nosniff: neither true nor false: "on". Allowed: true, false',
  ],
  [
    `${R}routes: [{ name: app, match: { path: /** }, access: session, headers: { hsts: 1d } }]\nsessions: {}\n`,
    '2:73: routes[0].headers: unknown key: "hsts". Allowed: nosniff, referrer_policy, opener_policy, permissions_policy, content_security_policy',
  ],
];
