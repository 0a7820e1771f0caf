/** A TLS session that began on one node is resumed on another. */
import { once } from 'node:events';
import { connect, type SecureVersion, type TLSSocket } from 'node:tls';
import tap, { test } from 'tap';

import { startSingle } from '../support/redis-servers.ts';
import { startShared } from './shared-gateways.ts';

const redis = await startSingle();
const shared = await startShared([redis.place, redis.place], '');
tap.teardown(async () => {
  await shared.stop();
  await redis.stop();
});

function open(node: number, version: SecureVersion, session?: Buffer): TLSSocket {
  return connect({
    port: shared.gateways[node]?.port ?? 0,
    host: '127.0.0.1',
    servername: 'localhost',
    ALPNProtocols: ['http/1.1'],
    ca: shared.gateways.map(({ ca }) => ca),
    minVersion: version,
    maxVersion: version,
    ...(session === undefined ? {} : { session }),
  });
}

/** What the server gives to resume with; in TLS 1.3 it comes with the first answer. */
async function sessionFrom(node: number, version: SecureVersion): Promise<Buffer> {
  const socket = open(node, version);
  const session = once(socket, 'session');
  socket.write('GET /login HTTP/1.1\r\nHost: localhost\r\n\r\n');
  const [buffer] = (await session) as [Buffer];
  socket.destroy();
  return buffer;
}

async function isResumed(node: number, version: SecureVersion, session: Buffer): Promise<boolean> {
  const socket = open(node, version, session);
  await once(socket, 'secureConnect');
  const isReused = socket.isSessionReused();
  socket.destroy();
  return isReused;
}

for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
  await test(`a ${version} session of one node resumes on the other, both ways`, async (t) => {
    for (const [from, to] of [
      [0, 1],
      [1, 0],
    ] as const) {
      t.equal(await isResumed(to, version, await sessionFrom(from, version)), true, `${from} to ${to}`);
    }
    const foreign = await startShared([redis.place], '', undefined);
    t.teardown(() => foreign.stop());
    const [stranger] = foreign.gateways;
    const socket = connect({
      port: stranger?.port ?? 0,
      host: '127.0.0.1',
      servername: 'localhost',
      ca: [...shared.gateways, ...foreign.gateways].map(({ ca }) => ca),
      minVersion: version,
      maxVersion: version,
      session: await sessionFrom(0, version),
    });
    await once(socket, 'secureConnect');
    t.equal(socket.isSessionReused(), false, 'a gateway with another master key opens no ticket');
    socket.destroy();
  });
}
