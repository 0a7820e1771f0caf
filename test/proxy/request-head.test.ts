import { test } from 'tap';

import { readRequestHead } from '../../gateway/proxy/request-head.ts';

const NOTHING = new Set<string>();

function forwardedNames(headers: readonly string[], dropped: ReadonlySet<string> = NOTHING): string[] {
  return readRequestHead(headers, dropped).forward.filter((_, index) => index % 2 === 0);
}

const REFUSED_NAMES = [
  'Connection',
  'Keep-Alive',
  'Proxy-Connection',
  'Proxy-Authorization',
  'TE',
  'Trailer',
  'Transfer-Encoding',
  'Upgrade',
  'Expect',
  'HTTP2-Settings',
  'Forwarded',
  'X-Forwarded-For',
  'x-forwarded-PROTO',
  'X-Forwarded-Host',
  'X-Forwarded-Ssl',
  'X-Forwarded-Port',
  'X-Forwarded-Uri',
  'X-Real-IP',
  'Client-IP',
  'CF-Connecting-IP',
  'True-Client-IP',
  'X-Original-URL',
  'X-Rewrite-URL',
  'X-HTTP-Method-Override',
  'Proxy',
  'X-Request-Id',
  'traceparent',
  'X-Zasov-Subject',
  'x-zasov-anything',
  'Zasov-Session',
  'X_Zasov_Subject',
  'X_Forwarded_For',
  'X.Zasov.Account',
  'x-forwarded_for',
  ':authority',
  'Cookie',
  'Host',
  'Content-Length',
];

for (const name of REFUSED_NAMES) {
  void test(`a client's ${name} never reaches the upstream as it is`, (t) => {
    t.same(forwardedNames([name, 'x', 'Accept', '*/*']), ['accept']);
    t.end();
  });
}

void test('headers named by Connection belong to this hop, whatever they are called', (t) => {
  const headers = ['X-Private', '1', 'Connection', 'close, X-Private', 'X-Public', '2'];
  t.same(forwardedNames(headers), ['x-public']);
  t.end();
});

void test('several cookie headers of HTTP/2 become one, in order', (t) => {
  t.equal(readRequestHead(['cookie', 'a=1', 'cookie', 'b=2'], NOTHING).cookie, 'a=1; b=2');
  t.end();
});

void test("the policy's API key headers are dropped, repeated headers of others are kept", (t) => {
  const headers = ['X-Api-Key', 's', 'Accept-Encoding', 'gzip', 'Via', 'a', 'Via', 'b'];
  t.same(forwardedNames(headers, new Set(['x-api-key'])), ['accept-encoding', 'via', 'via']);
  t.end();
});

void test('a second Host is counted, so that the guard can refuse it', (t) => {
  t.equal(readRequestHead(['Host', 'a', 'host', 'b'], NOTHING).hostCount, 2);
  t.end();
});
