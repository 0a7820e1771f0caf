/** TLS to the nodes: an authority of the operator's own, a certificate of the gateway's, and the node's own name. */
import { writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import tap, { test } from 'tap';
import { Agent, WebSocket } from 'undici';
import { HttpsClient } from '../support/https-client.ts';
import { type RunningGateway, startGateway, temporaryDirectory } from '../support/start-gateway.ts';
import { acceptWebSocket } from '../support/websocket-echo.ts';
import { eventually } from '../support/wire.ts';
import { makeChain } from '../tls/make-chain.ts';

const folder = temporaryDirectory();
const node = makeChain(folder, ['node.internal']);
const gatewayFolder = temporaryDirectory();
const own = makeChain(gatewayFolder, ['gateway.internal'], { purpose: 'clientAuth' });
const next = makeChain(temporaryDirectory(), ['gateway-next.internal'], { purpose: 'clientAuth' });
const file = (name: string, text: string): string => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};
const ca = file('authority.pem', node.root);
const cert = file('gateway.pem', own.leaf + own.intermediate);
const key = file('gateway.key', own.key);

let [connections, served] = [0, 0];
const shown = new Set<string>();
const upstream = await startNode();
const { port } = upstream.address() as AddressInfo;

async function startNode(): Promise<Server> {
  const server = createServer(
    {
      cert: node.leaf + node.intermediate,
      key: node.key,
      ca: [own.root, next.root],
      requestCert: true,
      rejectUnauthorized: true,
    },
    (request, response) => {
      const peer = (request.socket as TLSSocket).getPeerCertificate();
      response.setHeader('x-shown', String(peer.subject.CN));
      response.setHeader('x-serial', peer.serialNumber);
      shown.add(peer.serialNumber);
      if (request.url !== '/healthz') served += 1;
      response.end(`host ${request.headers.host}`);
    },
  );
  server.on('secureConnection', () => (connections += 1));
  server.on('upgrade', (request, socket) => acceptWebSocket(request, socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

function policy(tls: string): string {
  return `
accounts: { host: "{account}.crm.localhost" }
tls:
  certificates:
    - { hosts: ["*.crm.localhost"], self_signed: true }
regions:
  - id: home
    nodes: ["https://127.0.0.1:${port}"]
    role: primary
    health: { path: /healthz, every: 200ms, timeout: 2s }
    ${tls}
routes:
  - { name: all, match: { path: "/**" }, access: public }
sessions: { vault: [SID] }
`;
}

const started: RunningGateway[] = [];
async function start(tls: string): Promise<RunningGateway> {
  const gateway = await startGateway(policy(tls));
  started.push(gateway);
  return gateway;
}
tap.teardown(async () => {
  for (const each of started) await each.program.stop();
  upstream.closeAllConnections();
  upstream.close();
});
const clientOf = ({ port: public_, ca: authority }: RunningGateway, account: string): HttpsClient =>
  new HttpsClient({ host: `${account}.crm.localhost`, port: public_, ca: authority });

await test('the gateway shows its certificate and checks the name of the node, whatever host is asked for', async (t) => {
  const gateway = await start(
    `tls: { ca: "${ca}", cert: "${cert}", key: "${key}", server_name: node.internal }`,
  );
  const accounts = ['acme', 'globex', 'initech'].map((account) => clientOf(gateway, account));
  await eventually(async () => (await accounts[0]?.get('/'))?.status === 200);
  const before = connections;
  for (let round = 0; round < 5; round += 1) {
    for (const client of accounts) {
      const answer = await client.get('/');
      t.equal(answer.status, 200);
      t.equal(answer.header('x-shown'), 'leaf');
      t.match(answer.text, /^host \w+\.crm\.localhost/, 'the CRM sees the public host');
    }
  }
  t.equal(connections, before, 'another account is no reason for another connection');
  const socket = new WebSocket(`wss://acme.crm.localhost:${gateway.port}/live`, {
    dispatcher: new Agent({
      connect: {
        ca: gateway.ca,
        lookup: (_host, options, done) =>
          options.all === true
            ? (done as unknown as (error: null, found: object[]) => void)(null, [
                { address: '127.0.0.1', family: 4 },
              ])
            : done(null, '127.0.0.1', 4),
      },
    }),
  });
  const heard = await new Promise((resolve, reject) => {
    socket.addEventListener('open', () => socket.send('here'));
    socket.addEventListener('message', ({ data }) => resolve(data));
    socket.addEventListener('error', () => reject(new Error('the WebSocket failed')));
  });
  t.equal(heard, 'echo: here');
  socket.close();
});

await test('new files for the nodes are shown with the next connection, by themselves', async (t) => {
  const [gateway] = started;
  if (gateway === undefined) return t.fail('no gateway');
  const client = clientOf(gateway, 'acme');
  const before = (await client.get('/')).header('x-serial') ?? '';
  file('gateway.pem', next.leaf + next.intermediate);
  file('gateway.key', next.key);
  // Both files have to be seen, and the pair whole.
  await eventually(() => /the new policies are in force/.test(gateway.program.output.stderr), 20_000);
  upstream.closeAllConnections();
  await eventually(async () => {
    const answer = await client.get('/');
    return answer.status === 200 && answer.header('x-serial') !== before;
  });
  t.equal(shown.size, 2, 'two certificates were shown');
  file('gateway.pem', own.leaf + own.intermediate);
  file('gateway.key', own.key);
});

await test('a node with another name or of another authority, and a gateway without a certificate, get no request through', async (t) => {
  const before = served;
  for (const tls of [
    `tls: { ca: "${ca}", cert: "${cert}", key: "${key}", server_name: other.internal }`,
    `tls: { ca: "${ca}", cert: "${cert}", key: "${key}" }`,
    `tls: { cert: "${cert}", key: "${key}", server_name: node.internal }`,
    `tls: { ca: "${ca}", server_name: node.internal }`,
    '',
  ]) {
    const gateway = await start(tls);
    const { status } = await clientOf(gateway, 'acme').get('/');
    t.ok(status === 502 || status === 503, `${status} with ${tls || 'nothing'}`);
    t.equal(served, before, 'the node was asked nothing');
    await gateway.program.stop();
  }
});
