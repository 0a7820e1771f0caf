import * as fc from '../support/property-based.ts';
import { test } from 'tap';
import { clientNetwork, networkList, networkMistake, plainAddress } from '../../gateway/core/network.ts';

await test('addresses and CIDRs are taken, everything else is refused with a reason', async (t) => {
  for (const good of ['10.0.0.0/8', '192.0.2.7', '2001:db8::/32', '::1', '0.0.0.0/0', '::ffff:10.0.0.1'])
    t.equal(networkMistake(good), undefined, good);
  for (const bad of [
    '',
    '10.0.0',
    '10.0.0.0/33',
    '10.0.0.0/',
    '10.0.0.0/8/8',
    '::/129',
    'fe80::1%eth0',
    'host',
    '10.0.0.0/-1',
    ' 10.0.0.1',
  ])
    t.type(networkMistake(bad), 'string', JSON.stringify(bad));
});

await test('a list holds what lies in its networks, mapped IPv4 as IPv4', async (t) => {
  const list = networkList(['10.0.0.0/8', '192.0.2.7', '2001:db8::/32']);
  t.equal(list.size, 3);
  for (const inside of ['10.1.2.3', '::ffff:10.1.2.3', '192.0.2.7', '2001:db8:1::5'])
    t.ok(list.includes(inside), inside);
  for (const outside of [
    '11.0.0.1',
    '192.0.2.8',
    '::ffff:11.0.0.1',
    '2001:db9::1',
    '',
    'garbage',
    '10.1.2.3.4',
  ])
    t.notOk(list.includes(outside), outside);
  t.notOk(networkList([]).includes('10.0.0.1'));
});

await test('no text makes a network list throw', async (t) => {
  const texts = fc.oneof(
    fc.string(),
    fc.ipV4(),
    fc.ipV6(),
    fc.tuple(fc.ipV4(), fc.nat(40)).map(([a, n]) => `${a}/${n}`),
  );
  fc.assert(
    fc.property(texts, texts, (network, address) => {
      if (networkMistake(network) === undefined) networkList([network]).includes(address);
      clientNetwork(address);
    }),
    { numRuns: 3000 },
  );
  t.pass();
});

await test('a client is counted by its /24 or /64', async (t) => {
  t.equal(clientNetwork('192.0.2.77'), '192.0.2.0/24');
  t.equal(clientNetwork('::ffff:192.0.2.77'), '192.0.2.0/24');
  t.equal(clientNetwork('2001:db8:1:2:3:4:5:6'), '2001:db8:1:2::/64');
  t.equal(clientNetwork('2001:db8::1'), '2001:db8:0:0::/64');
  t.equal(clientNetwork('::1'), '0:0:0:0::/64');
  t.equal(plainAddress('::ffff:192.0.2.1'), '192.0.2.1');
  t.equal(plainAddress('2001:db8::1'), '2001:db8::1');
});
