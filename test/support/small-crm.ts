import { createHash, randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { acceptWebSocket } from './websocket-echo.ts';

/** A CRM as small as a test can use: it knows nothing of the gateway and keeps one session cookie of its own. */
export interface SmallCrm {
  readonly origin: string;
  /** Values of the session cookies that it handed out. */
  readonly sessionIds: readonly string[];
  /** How many event streams and WebSockets it holds open. */
  openStreams(): number;
  close(): Promise<void>;
}

/** The password of everybody. */
export const CRM_PASSWORD = 'correct horse';

const COOKIE = 'CRMSESSID';

/** Its policies with paths that API keys open. */
export function withKeyRoute(policy: string): string {
  return policy.replace(
    'routes:\n',
    'routes:\n  - { name: api, match: { path: "/api/**" }, access: api_key }\n',
  );
}

/**
 * Policies for it: everything but the login form needs a session, and rotation is as quick as the test wants.
 *
 * @param sessions further lines of the `sessions` section, indented by two.
 */
export function smallCrmPolicy(origin: string, sessions = ''): string {
  return `
accounts: { single: main }
tls:
  certificates:
    - { hosts: [localhost], self_signed: true }
regions:
  - { id: home, nodes: ["${origin}"], health: { timeout: 30s }, role: primary }
routing:
  home: { default: home }
routes:
  - { name: login, match: { path: /login }, access: public }
  - { name: app, match: { path: "/**" }, access: session }
protection:
  body_bytes: 300MiB
sessions:
  login_page: /login
  vault: [${COOKIE}]
  begin:
    - match: { method: POST, path: /login }
      subject: form.login
      success: { status: 302, location: "/" }
  end:
    - match: { path: /logout }
  credential_change:
    - match: { method: POST, path: /password }
      when: { form: [new_password] }
      success: { status: 200 }
      subject: session
${sessions}`;
}

/** Starts it on a free port of loopback. */
export async function startSmallCrm(): Promise<SmallCrm> {
  const people = new Map<string, string>();
  const streams = new Set<ServerResponse | Duplex>();
  const hold = (stream: ServerResponse | Duplex): void => {
    streams.add(stream);
    stream.once('close', () => streams.delete(stream));
  };
  const server = createServer((request, response) => {
    // A client that goes away mid-body is ordinary here.
    answer(request, response, people, hold).catch(() => response.destroy());
  });
  server.on('upgrade', (request: IncomingMessage, socket: Duplex) => {
    hold(socket);
    acceptWebSocket(request, socket);
  });
  server.requestTimeout = 0;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get sessionIds() {
      return [...people.keys()];
    },
    openStreams: () => streams.size,
    close: async () => {
      server.closeAllConnections();
      for (const stream of streams) stream.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** One request on its way. */
interface Visit {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly query: URLSearchParams;
  /** The session cookie, if it is one of ours. */
  readonly sid: string | undefined;
  readonly people: Map<string, string>;
  readonly hold: (stream: ServerResponse) => void;
}

const PAGES: Record<string, (visit: Visit) => void | Promise<void>> = {
  'GET /login': (visit) => {
    if (visit.sid === undefined) setSession(visit);
    visit.response.end('<form method="post"><input name="login"><input name="password"></form>');
  },
  'POST /login': logIn,
  'POST /password': async ({ request, response }) => {
    await readForm(request);
    response.end('changed');
  },
  'GET /logout': ({ response }) => void response.writeHead(302, { location: '/login' }).end(),
  'GET /events': sendEvents,
  'PUT /upload': digest,
  'GET /download': sendBytes,
};

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  people: Map<string, string>,
  hold: (stream: ServerResponse) => void,
): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://crm');
  const sent = new RegExp(`${COOKIE}=([0-9a-f]+)`).exec(request.headers.cookie ?? '')?.[1];
  const sid = sent !== undefined && people.has(sent) ? sent : undefined;
  const page = PAGES[`${request.method} ${url.pathname}`] ?? showUser;
  await page({ request, response, query: url.searchParams, sid, people, hold });
}

function showUser({ response, people, sid }: Visit): void {
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ user: people.get(sid ?? '') ?? '' }));
}

function setSession({ response, people }: Visit): string {
  const sid = randomBytes(16).toString('hex');
  people.set(sid, '');
  response.setHeader('set-cookie', `${COOKIE}=${sid}; Path=/; HttpOnly`);
  return sid;
}

/** Like many real ones it keeps the session's identifier at login. */
async function logIn(visit: Visit): Promise<void> {
  const form = await readForm(visit.request);
  if (form.get('password') !== CRM_PASSWORD) {
    visit.response.end('wrong <form>');
    return;
  }
  visit.people.set(visit.sid ?? setSession(visit), form.get('login') ?? '');
  visit.response.writeHead(302, { location: '/' }).end();
}

async function readForm(request: IncomingMessage): Promise<URLSearchParams> {
  let text = '';
  for await (const chunk of request.setEncoding('utf8')) text += chunk as string;
  return new URLSearchParams(text);
}

function sendEvents({ response, hold }: Visit): void {
  hold(response);
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  let count = 0;
  const timer = setInterval(() => response.write(`data: ${(count += 1)}\n\n`), 100);
  response.once('close', () => clearInterval(timer));
}

async function digest({ request, response }: Visit): Promise<void> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of request) {
    bytes += (chunk as Buffer).length;
    hash.update(chunk as Buffer);
  }
  response.end(JSON.stringify({ bytes, sha256: hash.digest('hex') }));
}

async function sendBytes({ response, query }: Visit): Promise<void> {
  const bytes = Number(query.get('bytes'));
  response.setHeader('content-length', bytes);
  for (const block of blocks(bytes)) {
    if (response.destroyed) return;
    if (!response.write(block)) await roomOrEnd(response);
  }
  response.end();
}

async function roomOrEnd(response: ServerResponse): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = (): void => {
      response.off('drain', done).off('close', done);
      resolve();
    };
    response.on('drain', done).on('close', done);
  });
}

/** The same bytes on every call, no two blocks alike: what was lost, doubled or swapped changes the hash. */
export function* blocks(bytes: number): Generator<Buffer> {
  const size = 64 * 1024;
  const noise = createHash('shake256', { outputLength: size }).update('noise').digest();
  for (let sent = 0; sent < bytes; sent += size) {
    const block = Buffer.from(noise);
    block.writeUInt32BE(sent / size);
    yield block.subarray(0, Math.min(size, bytes - sent));
  }
}
