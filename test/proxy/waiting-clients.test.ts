/** Who is given up when too many clients make the upstream wait, without one. */
import { test } from 'tap';
import { WaitingClients } from '../../gateway/proxy/waiting-clients.ts';

function scene() {
  const clock = { ms: 0 };
  const clients = new WaitingClients(() => clock.ms);
  const gone: number[] = [];
  const exchanges = Array.from({ length: 400 }, (_, number) => ({ giveUp: () => void gone.push(number) }));
  return { clock, clients, gone, exchanges };
}

await test('while half of the connections are free everybody may take their time', (t) => {
  const { clock, clients, gone, exchanges } = scene();
  for (const exchange of exchanges.slice(0, 128)) clients.note(exchange);
  clock.ms = 3_600_000;
  clients.relieve();
  t.strictSame(gone, []);
  t.end();
});

await test('beyond that those go that stood still the longest, and nobody who moved', (t) => {
  const { clock, clients, gone, exchanges } = scene();
  for (const exchange of exchanges.slice(0, 140)) clients.note(exchange);
  t.strictSame(gone, [], 'nobody has stood still for long');
  clock.ms = 1500;
  for (const exchange of exchanges.slice(0, 5)) clients.note(exchange);
  clients.forget(exchanges[139] as never);
  clock.ms = 2100;
  clients.relieve();
  t.strictSame(gone, [5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
  t.end();
});

await test('when nearly all connections are taken nobody has time', (t) => {
  const { clients, gone, exchanges } = scene();
  for (const exchange of exchanges.slice(0, 230)) clients.note(exchange);
  t.strictSame(gone, [0, 1, 2, 3, 4, 5]);
  t.end();
});
