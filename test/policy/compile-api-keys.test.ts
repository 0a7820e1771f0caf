import { test } from 'tap';

import { goodPolicy } from '../support/policy-fixture.ts';

const BASE = `
regions: [{ id: a, nodes: ["http://127.0.0.1:9101"] }]
routes: [{ name: all, match: { path: "/**" }, access: api_key }]
sessions: {}
`;

await test('places, headers and the life of keys are compiled for the request path', async (t) => {
  const { policy } = goodPolicy(
    t,
    `${BASE}api_keys:
  in: ["header:X_Api.Key", bearer, "query:KEY", basic]
  warn_before: [1d, 14d, 7d]
  rotate_on: [age]
  imported: accept
  upstream: { header: X-Crm-Key }
`,
  );
  const { places, heldHeaders, upstreamHeader, settings } = policy.apiKeys;
  t.strictSame([...places.headers, ...places.queryNames], ['x_api.key', 'KEY']);
  t.strictSame([places.bearer, places.basic, upstreamHeader], [true, true, 'x-crm-key']);
  t.strictSame(
    [...heldHeaders],
    ['x-api-key', 'authorization', 'x-crm-key'],
    'as CGI-like upstreams spell them',
  );
  t.strictSame(settings, {
    prefix: 'zsv',
    maxAge: { months: 6 },
    overlapMs: 0,
    warnBeforeMs: [14, 7, 1].map((days) => days * 86_400_000),
    rotateOn: { age: true, credentialChange: false },
    acceptsImported: true,
    hasWebhook: false,
  });
});

await test('without the section and without a route for keys no place is a key’s, and keys that exist age by the defaults', async (t) => {
  const { apiKeys } = goodPolicy(t, BASE.replace('access: api_key', 'access: session')).policy;
  t.equal(apiKeys.heldHeaders.size + apiKeys.places.headers.size + apiKeys.places.queryNames.size, 0);
  t.match(apiKeys.settings, {
    maxAge: { months: 6 },
    acceptsImported: false,
    rotateOn: { credentialChange: true },
  });
});
