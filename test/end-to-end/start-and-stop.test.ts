/** Starting where another runs, and stopping while somebody is served. */
import { setTimeout as pause } from 'node:timers/promises';
import tap, { test } from 'tap';
import { smallCrmPolicy, startSmallCrm } from '../support/small-crm.ts';
import { startGateway } from '../support/start-gateway.ts';
import { eventually, Wire } from '../support/wire.ts';
import { clientOf, signIn } from './small-crm-client.ts';

const crm = await startSmallCrm();
const TEXT = smallCrmPolicy(crm.origin);
const gateway = await startGateway(TEXT);
tap.teardown(async () => {
  await gateway.program.stop();
  await crm.close();
});

/** How a start ended that should have been refused. */
async function refusedStart(text: string, data?: string): Promise<string> {
  return await startGateway(text, data).then(
    async ({ program }) => {
      await program.stop();
      return 'it started';
    },
    (error: unknown) => String(error),
  );
}

await test('a second gateway on the same data directory is refused in one sentence', async (t) => {
  const said = await refusedStart(TEXT, gateway.data);
  t.match(said, /\nzasov: another gateway already runs on this data directory \(.+\)\n/);
  t.notMatch(said, /at .*\.ts:\d+:\d+\)?\nzasov/);
  t.match(gateway.command('status'), { code: 0 }, 'the first one runs on');
});

await test('a port that is taken is refused in one sentence that names it', async (t) => {
  const { port } = new URL(gateway.listeners.public);
  const listen = `listen:\n  public: { address: 127.0.0.1, port: ${port} }\n  admin: { address: 127.0.0.1, port: 0 }\n  ops: { address: 127.0.0.1, port: 0 }\n`;
  const said = await refusedStart(listen + TEXT);
  t.match(said, new RegExp(`\\nzasov: .*127\\.0\\.0\\.1:${port}.*\\n`));
});

await test('SIGTERM lets a running download finish, then the process ends with 0 at once', async (t) => {
  const other = await startGateway(TEXT);
  const user = clientOf(other);
  t.teardown(() => user.close());
  await signIn(user, 'olga');
  const wire = await Wire.open(other);
  wire.socket.pause();
  wire.send(
    `GET /download?bytes=20000000 HTTP/1.1\r\nHost: localhost\r\nUser-Agent: zasov-test\r\nCookie: ${user.jar.header()}\r\n\r\n`,
  );
  await pause(300);
  const ended = other.program.stop();
  await eventually(async () => {
    const answer = await fetch(`${other.listeners.ops}/readyz`).catch(() => undefined);
    return answer?.status === 503;
  });
  await t.rejects(Wire.open(other), 'no new connections');
  wire.socket.resume();
  await wire.until(/\r\n\r\n/);
  const whole = () => wire.received.length - wire.received.indexOf('\r\n\r\n') - 4 === 20_000_000;
  await eventually(whole, 15_000, () => 'the whole download');
  const finishedMs = performance.now();
  t.equal(await ended, 0);
  t.ok(performance.now() - finishedMs < 3000, 'it does not sit out its deadline');
});

await test('SIGTERM with nobody there ends the process at once', async (t) => {
  const other = await startGateway(TEXT);
  const beganMs = performance.now();
  t.equal(await other.program.stop(), 0);
  t.ok(performance.now() - beganMs < 2000);
});

await test('event streams end with the gateway, what else hangs is cut when the drain is over', async (t) => {
  const other = await startGateway(TEXT.replace('protection:', 'protection:\n  drain: 2s'));
  const user = clientOf(other);
  t.teardown(() => user.close());
  await signIn(user, 'olga');
  const began = (): number => performance.now() - beganMs;
  const streamed = user.get('/events').then((answer) => ({ text: answer.text, afterMs: began() }));
  const wire = await Wire.open(other);
  wire.send('POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhalf');
  await pause(300);
  const beganMs = performance.now();
  const stopped = other.program.stop();
  const { text, afterMs } = await streamed;
  t.match(text, /data: 1\n\n/);
  t.ok(afterMs < 1000, `the event stream ended after ${Math.round(afterMs)} ms`);
  t.equal(await stopped, 0);
  t.ok(began() > 1500 && began() < 4000, `stopped after ${Math.round(began())} ms`);
});
