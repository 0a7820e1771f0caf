/** A sealed region is shut for tunnels too, and the building itself can say so over the admin listener. */
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import tap, { test } from 'tap';
import { auditEvents, type Credentials, metricOf, startAdminGateway } from '../support/admin-gateway.ts';
import { signedSignal } from '../support/facility.ts';
import { Http2Client, HttpsClient } from '../support/https-client.ts';
import { temporaryDirectory } from '../support/start-gateway.ts';
import { eventually } from '../support/wire.ts';

const SECRET = 'an alarm panel knows this one';
const file = join(temporaryDirectory(), 'facility');
writeFileSync(file, SECRET, { mode: 0o600 });
const sockets: Socket[] = [];
const servers = await Promise.all(
  ['sealed', 'elsewhere'].map(async () => {
    const server = createServer((socket) => {
      sockets.push(socket.on('error', () => undefined));
      socket.pipe(socket);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    return server;
  }),
);
const [inMsk = '', elsewhere = ''] = servers.map(
  (each) => `127.0.0.1:${(each.address() as AddressInfo).port}`,
);
const admins = await startAdminGateway(`
regions:
  - { id: msk, nodes: ["http://127.0.0.1:9"], health: { every: 10m }, servers: ["${inMsk}"], facility: { secret: "file:${file}" } }
  - { id: spb, nodes: ["http://127.0.0.1:10"], health: { every: 10m }, servers: ["${elsewhere}"] }
routes: [{ name: all, match: { path: "/**" }, access: session }]
sessions: {}
admin_access: { servers: ["${inMsk}", "${elsewhere}"] }
`);
const { gateway } = admins;
const annas = await admins.certify(admins.anna);
tap.teardown(async () => {
  await gateway.program.stop();
  for (const socket of sockets) socket.destroy();
  for (const server of servers) server.close();
});

async function tunnel(
  target: string,
  credentials: Credentials,
): Promise<{ socket: TLSSocket; status: number }> {
  const { port, ca } = admins.target();
  const socket = connect({ port, host: '127.0.0.1', ca, servername: 'localhost', ...credentials });
  await once(socket, 'secureConnect');
  socket.on('error', () => undefined);
  socket.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`);
  const [head] = (await once(socket, 'data')) as [Buffer];
  socket.resume();
  return { socket, status: Number(head.toString().slice(9, 12)) };
}

await test('a signal needs no certificate but its signature, and a seal cuts the tunnels of its region', async (t) => {
  const [there, here] = [await tunnel(inMsk, annas), await tunnel(elsewhere, annas)];
  t.same([there.status, here.status], [200, 200]);
  const refusedBefore = await metricOf(gateway, 'zasov_admin_denied_total');
  const alarm = new HttpsClient(admins.target());
  const send = (secret: string) => {
    const { method, headers, body } = signedSignal('', 'msk', secret, 'tamper');
    return alarm.send(method, '/.zasov/facility/msk', { headers, body });
  };
  t.equal((await send('a wrong key')).status, 401);
  t.notOk(there.socket.destroyed);
  const answer = await send(SECRET);
  t.match([answer.status, JSON.parse(answer.text)], [Number, { state: 'sealed' }], answer.text);
  alarm.close();
  await eventually(
    () => there.socket.destroyed,
    1000,
    () => 'the cut',
  );
  t.notOk(here.socket.destroyed, 'other regions go on');
  t.equal((await tunnel(inMsk, annas)).status, 503);
  t.equal((await tunnel(elsewhere, annas)).status, 200);
  await eventually(() =>
    auditEvents(gateway).some(
      ({ event, facts }) => event === 'tunnel.closed' && facts.reason === 'region sealed',
    ),
  );
  t.equal(
    await metricOf(gateway, 'zasov_admin_denied_total'),
    refusedBefore,
    'an alarm is no attempt on the door',
  );
  const person = new Http2Client(admins.target(annas));
  t.match((await person.send('GET', '/.zasov/console')).text, /sealed/);
  person.close();
  here.socket.destroy();
});
