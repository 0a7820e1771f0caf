import { readFileSync } from 'node:fs';
import type { Server } from 'node:net';

/** What every forwarder of the bench is started with. */
export interface ServiceArguments {
  readonly upstream: string;
  readonly tls: {
    readonly cert: Buffer;
    readonly key: Buffer;
    readonly minVersion: 'TLSv1.2';
    readonly honorCipherOrder: false;
  };
}

/** Reads `UPSTREAM CERT KEY` from the command line. */
export function serviceArguments(): ServiceArguments {
  const [upstream, cert, key] = process.argv.slice(2);
  if (upstream === undefined || cert === undefined || key === undefined) {
    throw new Error('usage: node FORWARDER.ts UPSTREAM CERT KEY');
  }
  return {
    upstream,
    tls: { cert: readFileSync(cert), key: readFileSync(key), minVersion: 'TLSv1.2', honorCipherOrder: false },
  };
}

/** Listens on a free loopback port, says so in one JSON line like the gateway's, and leaves at once on SIGTERM. */
export function listenAndSayReady(server: Server): void {
  server.listen({ host: '127.0.0.1', port: 0, backlog: 4096 }, () => {
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no TCP port');
    const listeners = { public: `https://127.0.0.1:${address.port}` };
    process.stdout.write(`${JSON.stringify({ event: 'ready', listeners })}\n`);
  });
  // A plain exit, so that `--cpu-prof` writes its profile.
  process.once('SIGTERM', () => process.exit(0));
}
