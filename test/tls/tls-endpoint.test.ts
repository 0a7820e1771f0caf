import { once } from 'node:events';
import { createSecureServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { connect } from 'node:tls';
import type { ConnectionOptions, TLSSocket, TlsOptions } from 'node:tls';
import { test } from 'tap';
import { systemClock } from '../../gateway/core/clock.ts';
import { createMasterKey, parseKeyring } from '../../gateway/crypto/keyring.ts';
import { sealedKeyFiles } from '../../gateway/store/key-file.ts';
import type { CertificateSnapshot } from '../../gateway/tls/certificate-snapshot.ts';
import { loadCertificates } from '../../gateway/tls/certificate-store.ts';
import { TlsEndpoint } from '../../gateway/tls/tls-endpoint.ts';
import type { TlsProfileName } from '../../gateway/tls/tls-profile.ts';
import { createTicketSecret } from '../../gateway/tls/ticket-keys.ts';
import { makeChain } from './make-chain.ts';

const FIRST = ['*.crm.localhost', 'crm.localhost'];
const SECOND = ['other.localhost'];

interface Made {
  readonly snapshot: CertificateSnapshot;
  readonly ca: string;
}

async function make(
  directory: string,
  hostLists: readonly string[][] = [FIRST, SECOND],
  profile: TlsProfileName = 'intermediate',
): Promise<Made> {
  const keys = sealedKeyFiles(parseKeyring(createMasterKey()));
  const origins = hostLists.map((hosts) => ({ kind: 'self_signed', hosts }) as const);
  const result = await loadCertificates({ origins, profile, directory, keys, clock: systemClock });
  if (!result.ok || !result.authority) throw new Error('no certificates');
  return { snapshot: result.snapshot, ca: result.authority.caPem };
}

/** A server as the public listener has it: HTTP/2 and HTTP/1.1 on one port. */
async function serve(t: Tap, endpoint: TlsEndpoint, more: TlsOptions = {}): Promise<number> {
  const server = createSecureServer(
    { ...endpoint.serverOptions(), ...more, allowHTTP1: true },
    (_request, response) => {
      response.end('ok');
    },
  );
  endpoint.bind(server);
  const sockets = new Set<{ destroy(): void }>();
  server.on('connection', (socket: { destroy(): void }) => sockets.add(socket));
  server.on('sessionError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

/** The part of a tap test that {@link serve} needs. */
interface Tap {
  teardown(work: () => void): void;
}

function endpointFor(snapshot: CertificateSnapshot, listener = 'public', secret = createTicketSecret()) {
  return new TlsEndpoint({ listener, snapshot, ticketSecret: secret });
}

async function dial(port: number, options: ConnectionOptions): Promise<TLSSocket> {
  const socket = connect({ port, host: '127.0.0.1', ALPNProtocols: ['http/1.1'], ...options });
  await once(socket, 'secureConnect');
  return socket;
}

/** Sends one request and waits for the first answer byte, by which time a 1.3 ticket has come too. */
async function session(
  port: number,
  options: ConnectionOptions,
): Promise<{ ticket: Buffer; reused: boolean }> {
  const socket = await dial(port, options);
  let ticket: Buffer = socket.getSession() ?? Buffer.alloc(0);
  socket.on('session', (fresh: Buffer) => (ticket = fresh));
  socket.write('GET / HTTP/1.1\r\nhost: crm.localhost\r\n\r\n');
  await new Promise<void>((resolve, reject) => {
    socket.once('data', () => resolve());
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('closed without an answer')));
  });
  const reused = socket.isSessionReused();
  socket.destroy();
  return { ticket, reused };
}

await test('the certificate follows the server name, and has a default for clients without one', async (t) => {
  const { snapshot, ca } = await make(t.testdir());
  const port = await serve(t, endpointFor(snapshot));
  const subject = async (servername: string): Promise<string | undefined> => {
    const socket = await dial(port, { ca, servername, checkServerIdentity: () => undefined });
    const names = socket.getPeerX509Certificate()?.subjectAltName;
    socket.destroy();
    return names;
  };
  t.match(await subject('acme.crm.localhost'), /^DNS:\*\.crm\.localhost/);
  t.match(await subject('other.localhost'), /^DNS:other\.localhost/);
  t.match(await subject('stranger.example'), /^DNS:\*\.crm\.localhost/, 'unknown name');
  t.match(await subject(''), /^DNS:\*\.crm\.localhost/, 'no name');
});

await test('a client with the authority alone verifies name and chain, over 1.2 and 1.3', async (t) => {
  const { snapshot, ca } = await make(t.testdir());
  const port = await serve(t, endpointFor(snapshot));
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const range = { minVersion: version, maxVersion: version };
    for (const servername of ['acme.crm.localhost', 'other.localhost']) {
      const socket = await dial(port, { ca, servername, ...range });
      t.equal(socket.authorized, true);
      t.equal(socket.getProtocol(), version);
      t.equal((socket.getEphemeralKeyInfo() as { type?: string }).type !== 'DH', true);
      socket.destroy();
    }
  }
  const alpn = await dial(port, { ca, servername: 'crm.localhost', ALPNProtocols: ['h2', 'http/1.1'] });
  t.equal(alpn.alpnProtocol, 'h2');
  alpn.destroy();
});

await test('the post-quantum hybrid is there, classical curves too, and nothing weaker', async (t) => {
  const { snapshot, ca } = await make(t.testdir());
  const port = await serve(t, endpointFor(snapshot));
  const servername = 'crm.localhost';
  for (const ecdhCurve of ['X25519MLKEM768', 'X25519', 'prime256v1', 'secp384r1']) {
    const socket = await dial(port, { ca, servername, ecdhCurve });
    t.ok(socket.authorized, ecdhCurve);
    socket.destroy();
  }
  const usual = await dial(port, { ca, servername });
  t.match(usual.getEphemeralKeyInfo(), { name: 'X25519MLKEM768' }, 'a client of today uses it');
  usual.destroy();
  await t.rejects(dial(port, { ca, servername, ecdhCurve: 'secp521r1' }));
});

await test('old protocols and ciphers without forward secrecy or authentication are refused', async (t) => {
  const { snapshot, ca } = await make(t.testdir());
  const port = await serve(t, endpointFor(snapshot));
  const servername = 'crm.localhost';
  const old = { maxVersion: 'TLSv1.1', minVersion: 'TLSv1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;
  await t.rejects(dial(port, { ca, servername, ...old }));
  for (const ciphers of ['ECDHE-ECDSA-AES128-SHA256', 'ECDHE-ECDSA-AES256-SHA', 'AES128-GCM-SHA256']) {
    await t.rejects(dial(port, { ca, servername, ciphers, maxVersion: 'TLSv1.2' }), ciphers);
  }
  const modern = await serve(t, endpointFor((await make(t.testdir(), [FIRST], 'modern')).snapshot));
  await t.rejects(dial(modern, { ca, servername, maxVersion: 'TLSv1.2' }), 'modern is 1.3 alone');
});

await test('a client cannot renegotiate', async (t) => {
  const { snapshot, ca } = await make(t.testdir());
  const port = await serve(t, endpointFor(snapshot));
  const socket = await dial(port, { ca, servername: 'crm.localhost', maxVersion: 'TLSv1.2' });
  const failure = once(socket, 'error');
  socket.renegotiate({}, () => {});
  t.match((await failure)[0], { message: /no renegotiation|NO_RENEGOTIATION/i });
});

await test('new certificates serve from the next handshake; standing connections live on', async (t) => {
  const directory = t.testdir();
  const { snapshot, ca } = await make(join(directory, 'one'));
  const endpoint = endpointFor(snapshot);
  const port = await serve(t, endpoint);
  const standing = await dial(port, { ca, servername: 'acme.crm.localhost' });
  const next = await make(join(directory, 'two'), [FIRST]);
  endpoint.swap(next.snapshot);
  for (const servername of ['acme.crm.localhost', 'other.localhost', '']) {
    const socket = await dial(port, { ca: next.ca, servername, checkServerIdentity: () => undefined });
    const names = socket.getPeerX509Certificate()?.subjectAltName;
    t.match(names, /^DNS:\*\.crm\.localhost/, `"${servername}": a removed host gets the default`);
    socket.destroy();
  }
  await t.rejects(dial(port, { ca, servername: 'acme.crm.localhost' }), 'the old chain is gone');
  standing.write('GET / HTTP/1.1\r\nhost: crm.localhost\r\n\r\n');
  t.match(String((await once(standing, 'data'))[0]), 'HTTP/1.1');
  standing.destroy();
});

await test('sessions resume across workers and reloads with one secret, not after its rotation', async (t) => {
  const { snapshot, ca } = await make(t.testdir());
  const secret = createTicketSecret();
  const endpoint = endpointFor(snapshot, 'public', secret);
  const port = await serve(t, endpoint);
  const worker = await serve(t, endpointFor(snapshot, 'public', secret));
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const options = { ca, servername: 'acme.crm.localhost', minVersion: version, maxVersion: version };
    const { ticket, reused } = await session(port, options);
    t.equal(reused, false);
    t.equal((await session(port, { ...options, session: ticket })).reused, true, `${version}: resumed`);
    t.equal((await session(worker, { ...options, session: ticket })).reused, true, 'by another worker');
    endpoint.swap({ ...snapshot });
    t.equal((await session(port, { ...options, session: ticket })).reused, true, 'after a reload');
    endpoint.rotateTickets(createTicketSecret());
    t.equal((await session(port, { ...options, session: ticket })).reused, false, 'not after a rotation');
    endpoint.rotateTickets(secret);
  }
});

await test('a session of the public listener cannot be resumed on the admin listener', async (t) => {
  const { snapshot, ca } = await make(t.testdir());
  const secret = createTicketSecret();
  const publicPort = await serve(t, endpointFor(snapshot, 'public', secret));
  const adminPort = await serve(t, endpointFor(snapshot, 'admin', secret));
  const options = { ca, servername: 'crm.localhost' };
  const { ticket } = await session(publicPort, options);
  t.equal((await session(adminPort, { ...options, session: ticket })).reused, false);
});

await test('who must show a certificate proves the key on each connection, and resumes none', async (t) => {
  const base = t.testdir({ own: {} });
  const { snapshot, ca } = await make(join(base, 'tls'));
  const anna = makeChain(join(base, 'own'), ['anna'], { purpose: 'clientAuth' });
  const endpoint = new TlsEndpoint({
    listener: 'admin',
    snapshot,
    ticketSecret: createTicketSecret(),
    asksForCertificate: true,
  });
  const port = await serve(t, endpoint);
  for (let round = 0; round < 2; round += 1) {
    for (const servername of ['acme.crm.localhost', 'other.localhost', '']) {
      for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
        const options = { ca, servername, maxVersion, checkServerIdentity: () => undefined };
        const shown = { ...options, cert: anna.leaf + anna.intermediate, key: anna.key };
        const socket = await dial(port, shown);
        const tickets: Buffer[] = [];
        socket.on('session', (ticket) => tickets.push(ticket));
        socket.write('GET / HTTP/1.1\r\nhost: x\r\n\r\n');
        await once(socket, 'data');
        socket.destroy();
        for (const ticket of tickets) {
          const again = await dial(port, { ...options, session: ticket });
          t.equal(again.isSessionReused(), false, `${maxVersion}, "${servername}"`);
          again.destroy();
        }
      }
    }
    endpoint.swap({ ...snapshot });
  }
  t.ok(await dial(port, { ca, servername: 'crm.localhost' }), 'the handshake itself refuses nobody');
});

await test('an endpoint that follows another serves what that one swaps to', async (t) => {
  const base = t.testdir({ first: {}, second: {} });
  const first = await make(join(base, 'first'));
  const second = await make(join(base, 'second'));
  const leader = endpointFor(first.snapshot);
  const follower = endpointFor(first.snapshot, 'admin');
  follower.follow(leader);
  const port = await serve(t, follower);
  leader.swap(second.snapshot);
  for (const servername of ['acme.crm.localhost', ''])
    t.ok(await dial(port, { ca: second.ca, servername, checkServerIdentity: () => undefined }), servername);
});
