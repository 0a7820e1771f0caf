import { once } from 'node:events';
import { type AddressInfo, type Socket, connect, createServer } from 'node:net';

/** A way to a server on loopback on which a test changes, slows or cuts what passes. */
export interface TamperProxy {
  readonly port: number;
  /** Sees what the client sends and says what arrives; nothing breaks the connection. */
  request: (chunk: Buffer) => Buffer | undefined;
  /** The same of what the server answers. */
  answer: (chunk: Buffer) => Buffer | undefined;
  readonly close: () => Promise<void>;
}

/** Starts a proxy to a port of loopback that changes nothing yet. */
export async function startTamperProxy(target: number): Promise<TamperProxy> {
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(target, '127.0.0.1');
    const pass = (from: Socket, to: Socket, change: (chunk: Buffer) => Buffer | undefined): void => {
      sockets.add(from);
      from.on('data', (chunk: Buffer) => {
        const changed = change(chunk);
        if (changed === undefined) from.destroy();
        else if (!to.write(changed)) {
          from.pause();
          to.once('drain', () => from.resume());
        }
      });
      from.on('error', () => undefined);
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
    };
    pass(near, far, (chunk) => proxy.request(chunk));
    pass(far, near, (chunk) => proxy.answer(chunk));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const proxy: TamperProxy = {
    port: (server.address() as AddressInfo).port,
    request: (chunk) => chunk,
    answer: (chunk) => chunk,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
  return proxy;
}
