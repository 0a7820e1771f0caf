import type { Socket } from 'node:net';

import { readProxyHeader } from '../proxy/proxy-header.ts';

/** How long a proxy may take for its header, in ms. */
const HEADER_MS = 5000;
const NOTHING = Buffer.alloc(0);

/**
 * Takes the PROXY header off a connection of a trusted proxy. What follows it stays in the socket, for whoever takes
 * the socket over. A header that is bad, or that does not come in five seconds, ends the connection.
 *
 * @param take told the client's address once; the proxy's own when that speaks for itself.
 */
export function takeProxyHeader(socket: Socket, take: (address: string) => void): void {
  let received: Buffer = NOTHING;
  const refuse = () => socket.destroy();
  const timer = setTimeout(refuse, HEADER_MS).unref();
  const stop = () => {
    clearTimeout(timer);
    socket.off('readable', read).off('end', refuse).off('error', refuse).off('close', stop);
  };
  const read = () => {
    const chunk = socket.read() as Buffer | null;
    if (chunk === null) return;
    received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
    const header = readProxyHeader(received);
    if (header.kind === 'incomplete') return;
    stop();
    if (header.kind === 'bad') {
      socket.destroy();
      return;
    }
    const rest = received.subarray(header.bytes);
    if (rest.length > 0) socket.unshift(rest);
    take(header.address ?? socket.remoteAddress ?? '');
  };
  socket.on('readable', read).on('end', refuse).on('error', refuse).on('close', stop);
}
