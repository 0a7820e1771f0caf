import { test } from 'tap';

import { networkList } from '../../gateway/core/network.ts';
import { clientAddress } from '../../gateway/pipeline/client-address.ts';
import { readRequestHead } from '../../gateway/proxy/request-head.ts';

const trusted = networkList(['10.0.0.0/8', '2001:db8:1::/48']);
const addressOf = (peer: string, ...headers: string[]) =>
  clientAddress(peer, readRequestHead(headers, new Set()), trusted);

void test('headers of a peer that is not listed say nothing', (t) => {
  const claims = ['X-Forwarded-For', '192.0.2.1', 'Forwarded', 'for=192.0.2.1', 'X-Real-IP', '192.0.2.1'];
  t.equal(addressOf('203.0.113.5', ...claims), '203.0.113.5');
  t.equal(addressOf('::ffff:203.0.113.5', ...claims), '203.0.113.5');
  t.equal(addressOf('10.0.0.1', 'X-Real-IP', '192.0.2.1', 'True-Client-IP', '192.0.2.1'), '10.0.0.1');
  t.end();
});

void test('behind listed proxies the right-most hop that is not listed is the client', (t) => {
  const cases: readonly (readonly [string, ...string[]])[] = [
    ['198.51.100.7', 'X-Forwarded-For', '198.51.100.7'],
    ['198.51.100.7', 'X-Forwarded-For', '192.0.2.1, 198.51.100.7, 10.1.2.3'],
    ['198.51.100.7', 'X-Forwarded-For', '10.9.9.9,198.51.100.7'],
    ['198.51.100.7', 'X-Forwarded-For', '192.0.2.1', 'X-Forwarded-For', '198.51.100.7'],
    ['198.51.100.7', 'X-Forwarded-For', 'unknown, 198.51.100.7:51234'],
    ['2001:db8::7', 'X-Forwarded-For', '[2001:db8::7]:51234, 2001:db8:1::9'],
    ['198.51.100.7', 'Forwarded', 'for=192.0.2.1, for="198.51.100.7:80";proto=https;by=10.0.0.1'],
    ['2001:db8::7', 'Forwarded', 'For="[2001:db8::7]:443", for=10.0.0.9'],
    ['198.51.100.7', 'X-Forwarded-For', '198.51.100.7', 'Forwarded', 'for=192.0.2.1'],
  ];
  for (const [expected, ...headers] of cases)
    t.equal(addressOf('10.0.0.1', ...headers), expected, headers.join(' '));
  t.end();
});

void test('what is no address of a client leaves the proxy’s own', (t) => {
  for (const value of [
    '',
    'unknown',
    '_hidden',
    'localhost',
    '1.2.3',
    '198.51.100.7, x',
    '10.0.0.2',
    '::1%lo, ',
  ])
    t.equal(addressOf('10.0.0.1', 'X-Forwarded-For', value), '10.0.0.1', value);
  t.end();
});
