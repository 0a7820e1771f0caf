/** With real certificates only their hosts are served: the CRM builds links out of the host that it is told. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import tap, { test } from 'tap';
import { startProgram } from '../support/child-program.ts';
import { startRecordingUpstream } from '../support/recording-upstream.ts';
import { temporaryDirectory } from '../support/start-gateway.ts';
import { Wire } from '../support/wire.ts';
import { makeChain } from '../tls/make-chain.ts';

const upstream = await startRecordingUpstream();
const data = temporaryDirectory();
const chain = makeChain(data, ['localhost', '*.crm.localhost']);
writeFileSync(join(data, 'chain.pem'), chain.leaf + chain.intermediate);
writeFileSync(join(data, 'chain.key'), chain.key, { mode: 0o600 });
const policies = join(data, 'policies.yaml');
writeFileSync(
  policies,
  `
listen:
  public: { address: 127.0.0.1, port: 0 }
  admin: { address: 127.0.0.1, port: 0 }
  ops: { address: 127.0.0.1, port: 0 }
accounts: { single: main }
tls:
  certificates:
    - { hosts: [localhost, "*.crm.localhost"], cert: "${join(data, 'chain.pem')}", key: "${join(data, 'chain.key')}" }
regions:
  - { id: home, nodes: ["${upstream.origin}"], health: { timeout: 30s } }
routes:
  - { name: all, match: { path: "/**" }, access: public }
sessions: { vault: [SID] }
`,
);
const program = startProgram(process.execPath, [
  'gateway/zasov.mjs',
  'serve',
  '--policies',
  policies,
  '--data',
  data,
]);
const ready = JSON.parse(await program.line(/"event":\s*"ready"/, 20_000)) as {
  listeners: { public: string };
};
const gateway = { port: Number(new URL(ready.listeners.public).port), ca: chain.root };
tap.teardown(async () => {
  await program.stop();
  await upstream.close();
});

await test('a host that no certificate names gets 400 and never reaches the upstream', async (t) => {
  const wire = await Wire.open(gateway);
  for (const host of ['localhost', `localhost:${gateway.port}`, 'acme.crm.localhost', 'LOCALHOST']) {
    wire.send(`GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    t.match(await wire.answer(), { status: 200, head: /strict-transport-security: max-age=\d+/ }, host);
  }
  const before = upstream.requests.length;
  for (const host of ['evil.example', 'a.b.crm.localhost', '127.0.0.1', 'crm.localhost.evil.example']) {
    wire.send(`GET / HTTP/1.1\r\nHost: ${host}\r\nAccept: application/json\r\n\r\n`);
    t.match(await wire.answer(), { status: 400, body: /"code":"bad_host"/ }, host);
  }
  t.equal(upstream.requests.length, before);
  wire.close();
});
