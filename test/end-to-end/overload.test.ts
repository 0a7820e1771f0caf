/** A gateway whose event loop is late, because the test stops its process again and again: who is still served. */
import { setTimeout as pause } from 'node:timers/promises';
import tap, { test } from 'tap';
import { HttpsClient } from '../support/https-client.ts';
import { startRecordingUpstream } from '../support/recording-upstream.ts';
import { startGateway } from '../support/start-gateway.ts';
import { eventually } from '../support/wire.ts';

const upstream = await startRecordingUpstream();
const gateway = await startGateway(`
accounts: { single: main }
tls: { certificates: [{ hosts: [localhost], self_signed: true }] }
regions:
  - { id: home, nodes: ["${upstream.origin}"], health: { every: 10m } }
routes:
  - { name: api, match: { path: "/api/**" }, access: api_key, limit: free }
  - { name: open, match: { path: ["/login", "/static/**"] }, access: public }
  - { name: app, match: { path: "/**" }, access: session }
limits: { free: { per: api_key, requests: 100000/1s } }
sessions:
  login_page: /login
  begin:
    - match: { method: POST, path: /login }
      subject: form.login
      success: { status: 200 }
`);
const target = { host: 'localhost', port: gateway.port, ca: gateway.ca };
const [stranger, program, person] = [1, 2, 3].map(() => new HttpsClient(target));
tap.teardown(async () => {
  for (const client of [stranger, program, person]) client?.close();
  process.kill(gateway.program.pid, 'SIGCONT');
  await gateway.program.stop();
  await upstream.close();
});
const { key } = JSON.parse(
  gateway.command('keys', 'issue', '--account', 'main', '--subject', 'robot', '--json').stdout,
) as { key: string };
await person?.post('/login', { login: 'anna' });

/** Stops the process for a while and lets it run for a moment, over and over, until told to end. */
async function hamper(stoppedMs: number, isEnough: () => boolean): Promise<void> {
  while (!isEnough()) {
    process.kill(gateway.program.pid, 'SIGSTOP');
    await pause(stoppedMs);
    process.kill(gateway.program.pid, 'SIGCONT');
    await pause(25);
  }
}

const askStranger = async () => await stranger?.get('/static/x');
const askProgram = async () => await program?.get('/api/x', { headers: { 'x-api-key': key } });
const askPerson = async () => await person?.get('/page');

await test('nobody is turned away while the loop is in time', async (t) => {
  for (const ask of [askStranger, askProgram, askPerson]) t.equal((await ask())?.status, 200);
});

for (const [stoppedMs, level, statuses] of [
  [320, 1, [503, 200, 200]],
  [650, 2, [503, 503, 200]],
  [1200, 3, [503, 503, 503]],
] as const)
  await test(`a loop that is late by ${stoppedMs} ms turns away ${['strangers', 'programs too', 'people too'][level - 1]}`, async (t) => {
    let isEnough = false;
    const hampering = hamper(stoppedMs, () => isEnough);
    try {
      await eventually(async () => (await askStranger())?.status === 503, 20_000);
      await eventually(
        async () => {
          const answers = await Promise.all([askStranger(), askProgram(), askPerson()]);
          if (answers.some((answer, index) => answer?.status !== statuses[index])) return false;
          for (const answer of answers.filter((each) => each?.status === 503)) {
            t.match(JSON.parse(answer?.text ?? ''), { code: 'overloaded' });
            t.match(answer?.header('retry-after'), /^\d+$/);
          }
          return true;
        },
        20_000,
        () => `the statuses ${statuses.join(', ')}`,
      );
      t.equal((await fetch(`${gateway.listeners.ops}/readyz`)).status, 200, 'health is never turned away');
      const metrics = await (await fetch(`${gateway.listeners.ops}/metrics`)).text();
      t.match(metrics, /zasov_overload_level [123]/);
      t.match(metrics, /zasov_overload_shed_total\{class="anonymous"\} \d/);
    } finally {
      isEnough = true;
      await hampering;
    }
  });

await test('when the loop is in time again everybody is served', async (t) => {
  for (const ask of [askPerson, askProgram, askStranger])
    await eventually(async () => (await ask())?.status === 200, 15_000);
  t.pass();
});
