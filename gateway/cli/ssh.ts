import { isIP } from 'node:net';
import { parseArgs } from 'node:util';
import { connect, type TLSSocket } from 'node:tls';

import { type AdminAccess, explainAdmin, readAdminAccess } from './admin-client.ts';
import { UsageError } from './usage-error.ts';

/** What `zasov ssh --help` shows. */
export const SSH_USAGE = `zasov ssh HOST[:PORT] --cert FILE --key FILE [--url https://HOST:8444] [--ca FILE]
       as a ProxyCommand: ssh -o ProxyCommand='zasov ssh %h:%p --cert Anna.pem --key Anna.key' msk-db`;
const SSH_PORT = 22;
const ANSWER_MS = 30_000;
/** A head that is longer is no answer of a gateway. */
const HEAD_BYTES = 16 * 1024;

/**
 * `zasov ssh HOST[:PORT]`: a tunnel through the admin listener to a server of `admin_access.servers`, on standard input
 * and output, as OpenSSH's ProxyCommand wants it. Works for any protocol over TCP.
 *
 * @returns 0 when the server closed it. @throws UsageError, or Error with a sentence when it is refused.
 */
export async function runSsh(argv: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      data: { type: 'string', default: 'var' },
      url: { type: 'string', default: 'https://127.0.0.1:8444' },
      cert: { type: 'string' },
      key: { type: 'string' },
      ca: { type: 'string' },
    },
  });
  const { cert, key, ca, url, data } = values;
  const [target, ...rest] = positionals;
  if (target === undefined || rest.length > 0 || cert === undefined || key === undefined)
    throw new UsageError(SSH_USAGE);
  const access = readAdminAccess({ cert, key, ca, url, data });
  const socket = await openTunnel(access, withPort(target));
  process.stdin.pipe(socket);
  socket.pipe(process.stdout);
  await new Promise<void>((resolve, reject) => {
    socket.once('close', resolve);
    socket.once('error', reject);
    // OpenSSH went away.
    process.stdout.once('error', () => socket.destroy());
  });
  process.stdin.destroy();
  return 0;
}

function withPort(target: string): string {
  if (isIP(target) === 6) return `[${target}]:${SSH_PORT}`;
  return /:\d{1,5}$/.test(target) ? target : `${target}:${SSH_PORT}`;
}

async function openTunnel(access: AdminAccess, target: string): Promise<TLSSocket> {
  const { hostname, port } = new URL(access.url);
  const host = hostname.replaceAll(/[[\]]/g, '');
  const socket = connect({
    host,
    port: Number(port === '' ? 443 : port),
    ...(isIP(host) === 0 ? { servername: host } : {}),
    cert: access.certPem,
    key: access.keyPem,
    ca: [...access.authorities],
    ALPNProtocols: ['http/1.1'],
    timeout: ANSWER_MS,
  });
  socket.once('timeout', () => socket.destroy(new Error(`${access.url} did not answer within 30 s`)));
  socket.once('secureConnect', () => {
    socket.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`);
  });
  try {
    const { status, rest } = await readHead(socket);
    if (status !== 200) throw new Error(refusal(status, rest.toString(), target));
    socket.setTimeout(0);
    socket.setNoDelay(true);
    if (rest.length > 0) socket.unshift(rest);
    return socket;
  } catch (error) {
    socket.destroy();
    throw error instanceof Error ? explainAdmin(error, access.url) : error;
  }
}

async function readHead(socket: TLSSocket): Promise<{ status: number; rest: Buffer }> {
  let received = Buffer.alloc(0);
  return await new Promise((resolve, reject) => {
    const over = (): void => {
      const end = received.indexOf('\r\n\r\n');
      const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(received.toString('latin1'))?.[1] ?? 0);
      resolve({ status, rest: received.subarray(end === -1 ? received.length : end + 4) });
    };
    const take = (chunk: Buffer): void => {
      received = Buffer.concat([received, chunk]);
      const isTunnel = /^HTTP\/1\.1 200 [\s\S]*?\r\n\r\n/.test(received.toString('latin1'));
      if (!isTunnel && received.length < HEAD_BYTES) return;
      socket.off('data', take).off('close', over);
      socket.pause();
      over();
    };
    socket.on('data', take);
    // A refusal is an ordinary answer, after which the connection ends.
    socket.once('close', over);
    socket.once('error', reject);
  });
}

function refusal(status: number, body: string, target: string): string {
  const { code, title } = parse(body);
  if (code === 'route_denied') return `${target} is not one of admin_access.servers`;
  return title ?? (status === 0 ? 'the connection was closed without an answer' : `refused with ${status}`);
}

function parse(body: string): { code?: string; title?: string } {
  try {
    return JSON.parse(body) as { code?: string; title?: string };
  } catch {
    return {};
  }
}
