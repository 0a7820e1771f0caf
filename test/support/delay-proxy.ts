import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { type AddressInfo, type Socket, connect, createServer } from 'node:net';

/** A way to a server on loopback that a test makes slow or cuts. */
export interface DelayProxy {
  readonly port: number;
  /** Time that every piece of data takes in each direction, in ms, from now on. */
  delayMs: number;
  /** Breaks every connection; new ones are let through. */
  cut(): void;
  readonly close: () => Promise<void>;
}

/** Starts a proxy to a port of loopback. */
export async function startDelayProxy(target: number): Promise<DelayProxy> {
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(target, '127.0.0.1');
    near.setNoDelay(true);
    far.setNoDelay(true);
    const forward = (from: Socket, to: Socket): void => {
      // One piece after another: timers of their own could overtake each other when the delay changes.
      let last = Promise.resolve();
      from.on('data', (chunk: Buffer) => {
        const readyMs = performance.now() + proxy.delayMs;
        last = last.then(async () => {
          const waitMs = readyMs - performance.now();
          if (waitMs > 0) await pause(waitMs);
          if (!to.destroyed) to.write(chunk);
        });
      });
      sockets.add(from);
      from.on('error', () => undefined);
      from.on('close', () => {
        sockets.delete(from);
        to.destroy();
      });
    };
    forward(near, far);
    forward(far, near);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  const proxy: DelayProxy = {
    port: (server.address() as AddressInfo).port,
    delayMs: 0,
    cut,
    close: async () => {
      cut();
      server.close();
      await once(server, 'close');
    },
  };
  return proxy;
}
