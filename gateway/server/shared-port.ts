import { lookup } from 'node:dns/promises';
import { BoundSocket } from 'node:net';

import type { SharedEndpoint } from './worker-calls.ts';

/** A port that several processes are going to listen on. */
export interface SharedPort extends SharedEndpoint {
  readonly family: string;
  /** Gives the port up; processes that listen on it go on. */
  release(): void;
}

/**
 * Takes a port for processes that share it (`SO_REUSEPORT`): it stays taken while workers come and go, and with port
 * 0 all of them get the same number. The socket is bound and never listens, so the kernel gives it no connection.
 *
 * @throws the system's error when somebody else has the port, also somebody who would share it.
 */
export async function takeSharedPort(endpoint: {
  readonly address: string;
  readonly port: number;
}): Promise<SharedPort> {
  const { address: host, family } = await lookup(endpoint.address);
  // Among sharers the kernel divides the connections: a stranger's program, or a second gateway by mistake, would get
  // some of them. Alone on the port is who can take it without sharing.
  const alone = new BoundSocket({ host, port: endpoint.port });
  const { port } = alone.address() as { port: number };
  alone.close();
  const socket = new BoundSocket({ host, port, reusePort: true });
  return { address: host, port, family: `IPv${family}`, release: () => socket.close() };
}
