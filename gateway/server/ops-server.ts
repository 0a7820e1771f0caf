import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';

import { FACILITY_PREFIX, type FacilityDoor } from './facility-door.ts';
import { METRICS_CONTENT_TYPE } from '../observability/metric-registry.ts';

/** Whether the gateway can take traffic, and what that rests on. */
export interface Readiness {
  readonly ready: boolean;
  /** By name (`store`, `policy`, `regions`): `true`, or a sentence that says what is wrong. */
  readonly checks: Readonly<Record<string, boolean | string>>;
}

/** What {@link startOpsServer} needs. */
interface OpsSettings {
  readonly endpoint: { readonly address: string; readonly port: number };
  /** The metrics of this process. */
  readonly registry: { render(): Promise<string> };
  /** Asked on each `/readyz`; throwing means not ready. */
  readonly readiness: () => Readiness;
  /** Takes the signals of data centres. */
  readonly facility?: FacilityDoor | undefined;
}

/** The running ops listener. */
export interface OpsServer {
  readonly address: AddressInfo;
  /** Ends at once; nobody's work hangs on a scrape. */
  close(): Promise<void>;
}

const JSON_TYPE = 'application/json; charset=utf-8';
const CONNECTIONS = 64;
const REQUEST_TIMEOUT_MS = 10_000;
const HEADER_BYTES = 8192;

/**
 * Serves `/metrics`, `/livez` and `/readyz` in plain HTTP for the machines that watch the gateway, and
 * takes the signed signals of data centres under `/.zasov/facility/`. `/livez` answers as
 * long as the event loop turns; `/readyz` is 200 only when ready and 503 otherwise, with the checks as JSON. Bounded in
 * connections, time and header size; no other request's body is read.
 *
 * @throws the system's error when the port cannot be taken.
 */
export async function startOpsServer(settings: OpsSettings): Promise<OpsServer> {
  const server = createServer(
    {
      maxHeaderSize: HEADER_BYTES,
      headersTimeout: REQUEST_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      connectionsCheckingInterval: 1000,
      keepAliveTimeout: REQUEST_TIMEOUT_MS,
    },
    (request, response) => void answer(settings, request, response),
  );
  server.maxConnections = CONNECTIONS;
  server.on('clientError', (_error, socket) => socket.destroy());
  server.listen({ host: settings.endpoint.address, port: settings.endpoint.port });
  await once(server, 'listening');
  return { address: server.address() as AddressInfo, close: () => close(server) };
}

async function close(server: Server): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  server.closeAllConnections();
  await closed;
}

async function answer(
  settings: OpsSettings,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (settings.facility !== undefined && (request.url ?? '').startsWith(FACILITY_PREFIX)) {
    await settings.facility.answer(request, response).catch(() => response.destroy());
    return;
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('allow', 'GET, HEAD');
    send(response, 405, 'text/plain', 'only GET and HEAD\n');
    return;
  }
  const [path] = (request.url ?? '').split('?', 1);
  if (path === '/livez') send(response, 200, JSON_TYPE, '{"live":true}\n');
  else if (path === '/readyz') sendReadiness(response, settings.readiness);
  else if (path === '/metrics') await sendMetrics(response, settings.registry);
  else send(response, 404, 'text/plain', '/metrics, /livez and /readyz are here\n');
}

function sendReadiness(response: ServerResponse, readiness: () => Readiness): void {
  let state: Readiness;
  try {
    state = readiness();
  } catch {
    state = { ready: false, checks: { readiness: 'the check failed' } };
  }
  const { ready, checks } = state;
  send(response, ready ? 200 : 503, JSON_TYPE, `${JSON.stringify({ ready, checks })}\n`);
}

async function sendMetrics(response: ServerResponse, registry: OpsSettings['registry']): Promise<void> {
  try {
    send(response, 200, METRICS_CONTENT_TYPE, await registry.render());
  } catch {
    send(response, 500, 'text/plain', 'the metrics cannot be written\n');
  }
}

function send(response: ServerResponse, status: number, type: string, body: string): void {
  // A body that was announced is not read, so the connection cannot carry another request after it.
  const { headers } = response.req;
  if (headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined) {
    response.setHeader('connection', 'close');
  }
  response.writeHead(status, {
    'content-type': type,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  });
  response.end(response.req.method === 'HEAD' ? undefined : body);
}
