/** How many connections one client may hold and open, without a socket. */
import { test } from 'tap';
import { networkList } from '../../gateway/core/network.ts';
import { ClientConnections } from '../../gateway/server/client-connections.ts';

function counting(perClient: number, trusted: string[] = []) {
  const clock = { ms: 0 };
  const bounds = { perClient, trustedProxies: networkList(trusted) };
  return { clock, clients: new ClientConnections(bounds, () => clock.ms) };
}

await test('a client may hold so many connections, and one more when one is over', (t) => {
  const { clock, clients } = counting(3);
  clock.ms = 60_000;
  for (let count = 0; count < 3; count += 1) t.equal(clients.open('192.0.2.1'), undefined);
  t.equal(clients.open('192.0.2.1'), 'client');
  t.equal(clients.open('192.0.2.2'), undefined, 'a neighbour is somebody else');
  clients.close('192.0.2.1');
  clock.ms += 10_000;
  t.equal(clients.open('192.0.2.1'), undefined);
  t.end();
});

await test('all addresses of an IPv6 /64 are one client, and an IPv4 address is one however it is written', (t) => {
  const { clients } = counting(2);
  t.equal(clients.open('2001:db8:0:1::1'), undefined);
  t.equal(clients.open('2001:db8:0:1:ffff:ffff:ffff:ffff'), undefined);
  t.equal(clients.open('2001:db8:0:1:8000::'), 'client');
  t.equal(clients.open('2001:db8:0:2::1'), undefined);
  t.equal(clients.open('::ffff:192.0.2.1'), undefined);
  t.equal(clients.open('192.0.2.1'), undefined);
  t.equal(clients.open('::ffff:192.0.2.1'), 'client');
  t.end();
});

await test('who opens and closes connections without end is slowed down to the bound a second', (t) => {
  const { clock, clients } = counting(20);
  const openAll = () => {
    let opened = 0;
    for (; clients.open('192.0.2.1') === undefined; opened += 1) clients.close('192.0.2.1');
    return opened;
  };
  t.equal(openAll(), 20);
  t.equal(clients.open('192.0.2.1'), 'pace');
  t.equal(clients.open('192.0.2.2'), undefined);
  clock.ms += 100;
  t.equal(openAll(), 2);
  clock.ms += 3_600_000;
  t.equal(openAll(), 20, 'never more than at first');
  t.end();
});

await test('a trusted proxy is no client', (t) => {
  const { clients } = counting(1, ['10.0.0.0/8']);
  for (let count = 0; count < 5; count += 1) t.equal(clients.open('10.1.2.3'), undefined);
  clients.close('10.1.2.3');
  t.strictSame(clients.crowded(1), []);
  t.end();
});

await test('what other processes hold counts too', (t) => {
  const { clients } = counting(4);
  clients.open('192.0.2.1');
  clients.open('192.0.2.1');
  clients.open('192.0.2.2');
  t.strictSame(clients.crowded(2), [['192.0.2.1', 2]]);
  clients.setOthers([['192.0.2.1', 2]]);
  t.equal(clients.open('192.0.2.1'), 'client');
  clients.setOthers([]);
  t.equal(clients.open('192.0.2.1'), undefined);
  t.end();
});

await test('a million addresses that come once leave nothing behind', (t) => {
  const { clock, clients } = counting(10);
  for (let number = 0; number < 1_000_000; number += 1) {
    clock.ms += 0.1;
    const address = `${1 + (number >> 16)}.${(number >> 8) & 255}.${number & 255}.1`;
    if (clients.open(address) === undefined) clients.close(address);
  }
  t.ok(clients.size < 20_000, `${clients.size} are remembered`);
  t.end();
});
