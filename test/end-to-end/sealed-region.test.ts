/** A sealed region: what it means for administrators, and how both of them open it again. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { promisify } from 'node:util';
import tap, { test } from 'tap';

import { auditEvents, type Credentials, startAdminGateway } from '../support/admin-gateway.ts';
import { type SentSignal, signedSignal } from '../support/facility.ts';
import { HttpsClient } from '../support/https-client.ts';
import { openPolicy } from '../support/open-policy.ts';
import { startRecordingUpstream } from '../support/recording-upstream.ts';
import { temporaryDirectory } from '../support/start-gateway.ts';
import { eventually } from '../support/wire.ts';

const SECRET = 'the door contacts of msk';
const directory = temporaryDirectory();
const keyFile = join(directory, 'msk.facility');
writeFileSync(keyFile, SECRET, { mode: 0o600 });

tap.setTimeout(120_000);

const accepted: Socket[] = [];
const server = createServer((socket) => {
  accepted.push(socket);
  socket.on('error', () => undefined).pipe(socket);
});
server.listen(0);
await once(server, 'listening');
const { port } = server.address() as AddressInfo;

const upstream = await startRecordingUpstream((_request, response) => void response.end('ok'));
const crm = await startAdminGateway(
  openPolicy(`  - { id: msk, nodes: ["${upstream.origin}"], facility: { secret: "file:${keyFile}" } }\n`) +
    `admin_access: { servers: ["localhost:${port}", "127.0.0.1:${port}"] }\n`,
);
const { gateway } = crm;
const [annas, borises] = [await crm.certify(crm.anna), await crm.certify(crm.boris)];
const visitor = new HttpsClient({ host: 'localhost', port: gateway.port, ca: gateway.ca });
tap.teardown(async () => {
  visitor.close();
  for (const socket of accepted) socket.destroy();
  server.close();
  await gateway.program.stop();
  await upstream.close();
});

/** Runs `zasov admins` as a person does. */
async function admins(name: string, credentials: Credentials, ...words: string[]): Promise<string> {
  const file = (ending: string) => join(directory, `${name}.${ending}`);
  writeFileSync(file('pem'), credentials.cert);
  writeFileSync(file('key'), credentials.key, { mode: 0o600 });
  const person = ['--cert', file('pem'), '--key', file('key'), '--url', `https://localhost:${crm.adminPort}`];
  const command = [
    'gateway/zasov.mjs',
    'admins',
    ...words,
    ...person,
    '--data',
    gateway.data,
    '--yes',
    '--json',
  ];
  return (await promisify(execFile)(process.execPath, command)).stdout;
}

/** Asks for a tunnel. */
async function tunnelTo(target: string): Promise<{ socket: TLSSocket; status: number }> {
  const { ca } = crm.target();
  const socket = connect({ port: crm.adminPort, host: '127.0.0.1', ca, servername: 'localhost', ...annas });
  socket.on('error', () => undefined);
  await once(socket, 'secureConnect');
  socket.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`);
  const [head] = (await once(socket, 'data')) as [Buffer];
  return { socket, status: Number(/^HTTP\/1\.1 (\d+)/.exec(head.toString())?.[1]) };
}

/** Sends a signal to the admin listener, as a building does: without a certificate. */
async function sendOverTls({
  url,
  method,
  headers,
  body,
}: SentSignal): Promise<{ status: number; text: string }> {
  return await new Promise((resolve, reject) => {
    const outgoing = request(url, { method, headers, ca: gateway.ca, agent: false }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
      answer.once('end', () => resolve({ status: answer.statusCode ?? 0, text }));
    });
    outgoing.once('error', reject);
    outgoing.end(body);
  });
}

function state(): string | undefined {
  return (JSON.parse(gateway.command('regions', 'list', '--json').stdout) as { state: string }[])[0]?.state;
}

await test('a signal at the admin listener needs no certificate; it seals, cuts tunnels and lets nothing pass', async (t) => {
  const { socket, status } = await tunnelTo(`localhost:${port}`);
  t.equal(status, 200);
  t.equal((await visitor.get('/page')).status, 200);
  const admin = `https://localhost:${crm.adminPort}`;
  const forged = signedSignal(admin, 'msk', SECRET, 'intrusion', { key: 'not the key' });
  t.match(await sendOverTls(forged), { status: 401, text: /signal_unsigned/ });
  const answer = await sendOverTls(signedSignal(admin, 'msk', SECRET, 'intrusion'));
  t.match(answer, { status: 200, text: /"state":"sealed","recorded":true/ });
  await eventually(
    () => socket.destroyed,
    2000,
    () => 'the tunnel is cut',
  );
  t.equal((await tunnelTo(`127.0.0.1:${port}`)).status, 503, 'no tunnel to a machine of the sealed region');
  const refused = await visitor.get('/page', { headers: { accept: 'application/json' } });
  t.equal(refused.status, 503);
  const wanted = ['facility.signal', 'facility.refused', 'tunnel.closed'];
  const recorded = (name: string) => auditEvents(gateway).find(({ event }) => event === name)?.facts;
  await eventually(() => wanted.every((name) => recorded(name) !== undefined));
  t.match(recorded('facility.signal'), {
    region: 'msk',
    type: 'intrusion',
    condition: 'sealed',
    listener: 'admin',
  });
  t.match(recorded('facility.refused'), { code: 'signal_unsigned' });
  t.match(recorded('tunnel.closed'), { reason: 'region sealed' });
});

await test('one administrator cannot open it; both can', async (t) => {
  t.match(gateway.command('regions', 'unseal', 'msk'), { code: 1, stderr: /propose unseal_region msk/ });
  const proposed = JSON.parse(await admins('Anna', annas, 'propose', 'unseal_region', 'msk')) as {
    id: string;
  };
  t.equal(state(), 'sealed');
  await t.rejects(admins('Anna', annas, 'approve', proposed.id));
  t.equal(state(), 'sealed');
  await admins('Boris', borises, 'approve', proposed.id);
  await eventually(
    () => state() === 'open',
    10_000,
    () => `the region is ${state()}`,
  );
  t.equal((await visitor.get('/page')).status, 200);
  t.match(auditEvents(gateway).find(({ event }) => event === 'region.unsealed')?.facts, {
    region: 'msk',
    proposal: proposed.id,
  });
  await t.rejects(admins('Anna', annas, 'propose', 'unseal_region', 'msk'), /not sealed/);
});
