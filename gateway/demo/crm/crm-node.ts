import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { accountOf } from './crm-address.ts';
import { sendJson, sendPage } from './crm-answer.ts';
import type { Crm, CrmContext, CrmRequest } from './crm-context.ts';
import { CrmProblem } from './crm-problem.ts';
import { answerRequest } from './crm-router.ts';
import { demoOperations } from './demo-data.ts';
import { FileShelf } from './file-shelf.ts';
import { html } from './html.ts';
import { Leadership } from './leadership.ts';
import { LiveHub } from './live-hub.ts';
import { refuseUpgrade, serveLiveSocket } from './live-socket.ts';
import { plainPage, say } from './page-frame.ts';
import { PeerGroup } from './peer-group.ts';
import { Replica } from './replica.ts';
import { cookieOf, findVisit, userOf } from './visit.ts';
import { chooseLanguage } from './language.ts';

const CONNECTION_LIMIT = 2000;
const HEADERS_TIMEOUT_MS = 15_000;
/** Long enough for hundreds of megabytes over a slow line. */
const REQUEST_TIMEOUT_MS = 15 * 60_000;

/** How a node of the demo CRM is started. */
export interface CrmNodeOptions {
  readonly region: string;
  /** 0 takes a free one. */
  readonly port: number;
  /** Origins of the other nodes: `http://127.0.0.1:9102`. */
  readonly peers: readonly string[];
  /** Shared by the nodes; the demo's API keys are derived from it. */
  readonly secret: string;
  /** Where uploads lie, in a folder of this region; a temporary directory that goes with the node when absent. */
  readonly dataDirectory?: string;
  readonly now?: () => number;
}

/** A node that runs. */
export interface CrmNode {
  readonly url: string;
  /** Replaces the list of peers; resolves when the new ones were read once. */
  setPeers(peers: readonly string[]): Promise<void>;
  /** Ends feeds and connections and frees the port. */
  close(): Promise<void>;
}

/**
 * Starts one node of the demo CRM on 127.0.0.1. It has caught up with every peer that answers before it listens, so
 * a node that comes back never serves old data.
 */
export async function startCrmNode(options: CrmNodeOptions): Promise<CrmNode> {
  const { region, port, secret, now = Date.now } = options;
  const own = options.dataDirectory === undefined;
  const directory = options.dataDirectory ?? (await mkdtemp(join(tmpdir(), 'demo-crm-')));
  const replica = new Replica(region);
  const leadership = new Leadership(region, replica, now);
  const peers = new PeerGroup(replica, leadership, secret);
  const files = new FileShelf(join(directory, `files-${region}`), secret);
  await files.open();
  for (const operation of await demoOperations(secret, now())) replica.apply(operation);
  const crm: Crm = {
    region,
    replica,
    leadership,
    peers,
    files,
    live: new LiveHub(replica, now),
    staticDirectory: fileURLToPath(new URL('static/', import.meta.url)),
    secret,
    now,
  };
  followFiles(crm);
  await peers.set(options.peers);
  const release = async (): Promise<void> => {
    peers.close();
    crm.live.close();
    if (own) await rm(directory, { recursive: true, force: true });
  };
  const server = await listen(crm, port).catch(async (error: unknown) => {
    await release();
    throw error;
  });
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    setPeers: (urls) => peers.set(urls),
    close: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      await release();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** Copies the bytes of files that another node took, and drops those of deleted ones. */
function followFiles({ replica, files, peers }: Crm): void {
  replica.on('applied', ({ kind, id, value }) => {
    if (kind !== 'file') return;
    if (value === null) void files.remove(id);
    else files.fetchLater(id, () => peers.reachable);
  });
}

async function listen(crm: Crm, port: number): Promise<Server> {
  const server = createServer({ headersTimeout: HEADERS_TIMEOUT_MS, requestTimeout: REQUEST_TIMEOUT_MS });
  server.maxConnections = CONNECTION_LIMIT;
  server.on('request', (request, response) => void serve(crm, request, response));
  server.on('upgrade', (request, socket, head) => upgrade(crm, request, socket, head));
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve());
  });
  return server;
}

async function serve(crm: Crm, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const readable = readRequest(crm, request);
  const context = readable === undefined ? undefined : { ...readable, response };
  try {
    if (context === undefined) throw new CrmProblem(404, 'no such account');
    if (isChange(request)) tellPosition(crm, response);
    await answerRequest(context);
  } catch (error) {
    await refuse(context, response, error);
  }
}

function isChange({ method = 'GET' }: IncomingMessage): boolean {
  return !/^(?:GET|HEAD|OPTIONS)$/.test(method);
}

/** Says with the answer how far the change is in the log; known only when the handler begins to answer. */
function tellPosition({ leadership }: Crm, response: ServerResponse): void {
  const writeHead = response.writeHead.bind(response) as (...rest: unknown[]) => ServerResponse;
  response.writeHead = (...rest: unknown[]) => {
    const position = leadership.writePosition;
    if (position !== undefined && !response.headersSent) response.setHeader('Zasov-Position', position);
    return writeHead(...rest);
  };
}

function readRequest(crm: Crm, request: IncomingMessage): CrmRequest | undefined {
  const account = accountOf(request);
  const url = URL.parse(request.url ?? '/', 'http://crm.invalid');
  if (account === undefined || url === null) return undefined;
  const language = chooseLanguage(cookieOf(request, 'lang'), request.headers['accept-language']);
  return { crm, request, url, account, language };
}

/** Tells a problem as JSON to programs and as a page to people; what is no problem of theirs is a plain 500. */
async function refuse(
  context: CrmContext | undefined,
  response: ServerResponse,
  error: unknown,
): Promise<void> {
  const problem = error instanceof CrmProblem ? error : new CrmProblem(500, 'the CRM failed');
  if (response.headersSent || response.destroyed) {
    response.destroy();
    return;
  }
  if (context === undefined) {
    response.writeHead(problem.status, { 'Content-Type': 'text/plain' }).end(`${problem.message}\n`);
    return;
  }
  if (/^\/(?:api|replication|echo)/.test(context.url.pathname)) {
    await sendJson(context, problem.status, { error: problem.message });
    return;
  }
  const content = html`<h1>${say(context, 'problem')}</h1>
    <p class="muted">${problem.status}: ${problem.message}</p>
    <p><a class="button" href="/">${say(context, 'backHome')}</a></p>`;
  await sendPage(context, problem.status, plainPage(context, say(context, 'problem'), content));
}

function upgrade(crm: Crm, request: IncomingMessage, socket: Duplex, head: Buffer): void {
  socket.on('error', () => socket.destroy());
  const context = readRequest(crm, request);
  const visit = context === undefined ? undefined : findVisit(context);
  if (context?.url.pathname !== '/live/ws') refuseUpgrade(socket, '404 Not Found');
  else if (visit === undefined || userOf(visit) === undefined) refuseUpgrade(socket, '401 Unauthorized');
  else {
    if (head.length > 0) socket.unshift(head);
    serveLiveSocket(request, socket, crm.live, context.account);
  }
}
