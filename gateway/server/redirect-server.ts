import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

import { hostName } from '../pipeline/host.ts';

/** A running redirect listener. */
export interface RedirectServer {
  readonly address: AddressInfo;
  close(): void;
}

/**
 * Sends everybody who comes in plain HTTP to https on the same host: 308, so that method and body stay what they were
 * (RFC 9110 section 15.4.9). Nothing else is answered here and nothing is forwarded.
 *
 * @param httpsPort the public listener's port; left out of the address where it is 443.
 * @throws the system's error when the port cannot be taken.
 */
export async function startRedirectServer(
  endpoint: { readonly address: string; readonly port: number },
  httpsPort: number,
): Promise<RedirectServer> {
  const server = createServer(
    {
      maxHeaderSize: 8192,
      headersTimeout: 10_000,
      requestTimeout: 10_000,
      connectionsCheckingInterval: 2000,
    },
    (request, response) => {
      const location = httpsLocation(request.headers.host ?? '', request.url ?? '', httpsPort);
      response.writeHead(
        location === undefined ? 400 : 308,
        location === undefined ? { connection: 'close' } : { location, connection: 'close' },
      );
      response.end();
    },
  );
  server.maxConnections = 1000;
  server.on('clientError', (_error, socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: endpoint.address, port: endpoint.port }, resolve);
  });
  return {
    address: server.address() as AddressInfo,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

/** `undefined` when the request names no host or no path that could be sent on. */
function httpsLocation(authority: string, target: string, port: number): string | undefined {
  if (!target.startsWith('/') || target.startsWith('//')) return undefined;
  try {
    return `https://${hostName(authority)}${port === 443 ? '' : `:${port}`}${target}`;
  } catch {
    return undefined;
  }
}
