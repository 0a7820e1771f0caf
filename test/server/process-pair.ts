import { EventEmitter } from 'node:events';
import type { ProcessEnd } from '../../gateway/server/process-link.ts';

/** Two ends of a channel that behaves like the one to a forked process: in order, later, and as JSON. */
export function processPair(): { ends: [ProcessEnd, ProcessEnd]; disconnect: () => void } {
  const one = new PairEnd();
  const other = new PairEnd();
  one.peer = other;
  other.peer = one;
  return { ends: [one, other], disconnect: () => one.disconnect() };
}

class PairEnd extends EventEmitter implements ProcessEnd {
  connected = true;
  peer: PairEnd | undefined;

  send(message: unknown, sent: (error: Error | null) => void = () => undefined): boolean {
    const text = JSON.stringify(message);
    setImmediate(() => {
      if (this.connected) this.peer?.emit('message', JSON.parse(text));
      sent(this.connected ? null : new Error('the channel is closed'));
    });
    return true;
  }

  disconnect(): void {
    for (const end of [this, this.peer]) {
      if (end?.connected !== true) continue;
      end.connected = false;
      end.emit('disconnect');
    }
  }
}
