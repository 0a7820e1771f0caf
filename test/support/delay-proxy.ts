import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { type AddressInfo, type Socket, connect, createServer } from 'node:net';

/** Which connections are held. */
type Held = 'none' | 'subscriptions' | 'all';

/** A way to a server on loopback that a test makes slow, holds or cuts. */
export interface DelayProxy {
  readonly port: number;
  /** Time that every piece of data takes in each direction, in ms, from now on. */
  delayMs: number;
  /**
   * Holds all bytes back, in both directions, as a network does that lost its way: nobody is told, nothing is closed,
   * new connections are open and silent.
   *
   * @param which `subscriptions` holds only the connections on which a Redis client subscribed.
   */
  hold(which: 'subscriptions' | 'all'): void;
  /** Lets go of what was held, in order, the end of a connection that was given up meanwhile last. */
  release(): void;
  /** Breaks every connection; new ones are let through. */
  cut(): void;
  readonly close: () => Promise<void>;
}

/** Starts a proxy to a port of loopback. */
export async function startDelayProxy(target: number): Promise<DelayProxy> {
  const sockets = new Set<Socket>();
  let held: Held = 'none';
  let released = Promise.withResolvers<void>();
  const server = createServer((near) => {
    const far = connect(target, '127.0.0.1');
    near.setNoDelay(true);
    far.setNoDelay(true);
    let isSubscription = false;
    const isHeld = (): boolean => held === 'all' || (held === 'subscriptions' && isSubscription);
    const forward = (from: Socket, to: Socket): void => {
      // One piece after another: timers of their own could overtake each other when the delay changes.
      let last = Promise.resolve();
      from.on('data', (chunk: Buffer) => {
        if (from === near && /subscribe/i.test(chunk.toString('latin1'))) isSubscription = true;
        const readyMs = performance.now() + proxy.delayMs;
        last = last.then(async () => {
          const waitMs = readyMs - performance.now();
          if (waitMs > 0) await pause(waitMs);
          while (isHeld()) await released.promise;
          if (!to.destroyed) to.write(chunk);
        });
      });
      sockets.add(from);
      from.on('error', () => undefined);
      from.on('close', () => {
        sockets.delete(from);
        if (!isHeld()) {
          to.destroy();
          return;
        }
        // What was sent before still arrives, as it does from a machine that sends lost packets again.
        void last.then(async () => {
          while (isHeld()) await released.promise;
          to.destroySoon();
        });
      });
    };
    forward(near, far);
    forward(far, near);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const release = (): void => {
    held = 'none';
    released.resolve();
    released = Promise.withResolvers<void>();
  };
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  const proxy: DelayProxy = {
    port: (server.address() as AddressInfo).port,
    delayMs: 0,
    hold: (which) => (held = which),
    release,
    cut,
    close: async () => {
      release();
      cut();
      server.close();
      await once(server, 'close');
    },
  };
  return proxy;
}
