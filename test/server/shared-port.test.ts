import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { type Test, test } from 'tap';
import { takeSharedPort } from '../../gateway/server/shared-port.ts';

const LOOPBACK = { address: '127.0.0.1', port: 0 };

/** A server that says its name to everybody. */
async function sharer(t: Test, name: string, port: number): Promise<void> {
  const server = createServer((socket) => socket.end(name));
  server.listen({ host: '127.0.0.1', port, reusePort: true });
  await once(server, 'listening');
  t.teardown(() => server.close());
}

await test('port 0 is one number for all who share it, and no connection is lost to the one who only holds it', async (t) => {
  const held = await takeSharedPort(LOOPBACK);
  t.teardown(() => held.release());
  t.ok(held.port > 0);
  await sharer(t, 'one', held.port);
  await sharer(t, 'other', held.port);
  const answers = new Map<string, number>();
  for (let count = 0; count < 100; count += 1) {
    const socket = connect(held.port, '127.0.0.1');
    const [name] = (await once(socket, 'data')) as [Buffer];
    answers.set(String(name), (answers.get(String(name)) ?? 0) + 1);
  }
  t.equal((answers.get('one') ?? 0) + (answers.get('other') ?? 0), 100);
  for (const [name, count] of answers) t.ok(count >= 20, `${name}: ${count} of 100`);
});

await test('a port that somebody listens on is refused, even if they would share it', async (t) => {
  const first = await takeSharedPort(LOOPBACK);
  t.teardown(() => first.release());
  await sharer(t, 'a second gateway', first.port);
  await t.rejects(takeSharedPort({ address: '127.0.0.1', port: first.port }), { code: 'EADDRINUSE' });
});
