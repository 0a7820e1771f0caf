import { chmod, unlink } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { connect } from 'node:net';

import { GatewayError } from '../core/gateway-error.ts';
import { type ControlOperations, runControl } from './control-api.ts';

/** A running control socket. */
export interface ControlServer {
  readonly path: string;
  close(): Promise<void>;
}

const BODY_BYTES = 1024 * 1024;

/**
 * Opens the control socket (`DATA/control.sock`, mode 0600): whoever may open the file may command the gateway, so
 * the file's owner is the authority and no other credential is asked for.
 *
 * @throws GatewayError `internal` when another gateway runs on the same data directory.
 */
export async function startControlServer(
  path: string,
  operations: ControlOperations,
): Promise<ControlServer> {
  await removeStale(path);
  const server = createServer({ maxHeaderSize: 8192, requestTimeout: 10_000 }, (request, response) => {
    answer(operations, request).then(
      ({ status, value }) => {
        const body = JSON.stringify(value);
        response.writeHead(status, {
          'content-type': 'application/json',
          'content-length': Buffer.byteLength(body),
        });
        response.end(body);
      },
      () => response.destroy(),
    );
  });
  // Nobody else may connect in the moment between bind and chmod.
  const before = process.umask(0o177);
  try {
    await listen(server, path);
  } finally {
    process.umask(before);
  }
  await chmod(path, 0o600);
  return {
    path,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(operations: ControlOperations, request: IncomingMessage) {
  try {
    const text = await readBody(request);
    if (text === undefined) return { status: 413, value: { error: 'the body is longer than 1 MiB' } };
    const body = text === '' ? undefined : parseJson(text);
    if (text !== '' && body === undefined) return { status: 400, value: { error: 'the body is not JSON' } };
    return await runControl(operations, request.method ?? '', request.url ?? '/', body);
  } catch (error) {
    if (error instanceof GatewayError)
      return { status: error.status, value: { error: error.title, code: error.code } };
    return { status: 500, value: { error: 'the gateway failed', code: 'internal' } };
  }
}

/** @returns `undefined` when it is longer than the bound; what is left of it is thrown away. */
async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.byteLength;
    if (bytes <= BODY_BYTES) chunks.push(chunk);
  }
  return bytes <= BODY_BYTES ? Buffer.concat(chunks).toString() : undefined;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A socket file that nobody answers on is left over from a process that was killed. */
async function removeStale(path: string): Promise<void> {
  const isAlive = await new Promise<boolean>((resolve) => {
    const probe = connect(path, () => {
      probe.destroy();
      resolve(true);
    });
    probe.on('error', () => resolve(false));
  });
  if (isAlive)
    throw new GatewayError('internal', `another gateway already runs on this data directory (${path})`);
  await unlink(path).catch(() => undefined);
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => resolve());
  });
}
