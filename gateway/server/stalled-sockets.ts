import type { Socket } from 'node:net';

interface Backlog {
  readonly waiting: number;
  readonly written: number;
  readonly sinceMs: number;
}

/**
 * Finds connections whose client takes nothing of what waits for it: the end of an answer, or messages of a
 * WebSocket. The answer itself is watched by its forwarding; what is left in the socket when that is done has nobody
 * else. Looks now and then at all connections, so that no answer pays for a timer.
 */
export class StalledSockets {
  readonly #stallMs: number;
  readonly #backlogs = new WeakMap<Socket, Backlog>();

  /** @param stallMs how long a client may take nothing. */
  constructor(stallMs: number) {
    this.#stallMs = stallMs;
  }

  /** Cuts those that have been stalled for too long. */
  sweep(open: Iterable<{ readonly socket: Socket }>, nowMs: number): void {
    for (const { socket } of open) {
      const { writableLength: waiting, bytesWritten: written } = socket;
      if (waiting === 0) continue;
      const before = this.#backlogs.get(socket);
      if (before === undefined || before.waiting !== waiting || before.written !== written)
        this.#backlogs.set(socket, { waiting, written, sinceMs: nowMs });
      else if (nowMs - before.sinceMs >= this.#stallMs) socket.destroy();
    }
  }
}
