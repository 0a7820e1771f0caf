import { test } from 'tap';

import { hostMatcher, hostName } from '../../gateway/pipeline/host.ts';

void test('a host is served when a certificate names it; a wildcard stands for one label', (t) => {
  const serves = hostMatcher(['crm.example', '*.crm.example', '127.0.0.1', '::1']);
  for (const host of ['crm.example', 'acme.crm.example', '127.0.0.1', '[::1]']) t.ok(serves(host), host);
  for (const host of [
    'evil.example',
    'a.b.crm.example',
    'crm.example.evil.example',
    'evilcrm.example',
    '.crm.example',
    '10.0.0.1',
    '[::2]',
    'example',
  ])
    t.notOk(serves(host), host);
  t.end();
});

void test('the host is what stands before the port, in lower case, and nothing else', (t) => {
  t.equal(hostName('ACME.crm.Example:8443'), 'acme.crm.example');
  t.equal(hostName('[::1]:8443'), '[::1]');
  for (const authority of [
    '',
    ':8443',
    'a b',
    'a/b',
    'a@b',
    'a..b',
    'a:99999',
    'a:b',
    '-a',
    'a\u0000',
    'a,b',
    'a?b',
  ])
    t.throws(() => hostName(authority), { code: 'bad_host' }, JSON.stringify(authority));
  t.end();
});
