import { GOOD } from './bad-policy-table.ts';

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
];
