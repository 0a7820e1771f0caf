import type { UpstreamNode } from '../upstream/upstream-node.ts';

/** Why a stream is ended: the gateway stops, another node should carry it, or nothing may pass to its region any more. */
export type StreamEnding = 'stopping' | 'moving' | 'sealed';

/** A stream that ends only when it is told to. */
export interface OpenStream {
  /** Ends it as cleanly as its protocol can, so that the client connects again. */
  shutDown(ending: StreamEnding): void;
}

/** WebSockets and event streams that are open, by the node at the other end. Touched when one opens and closes only. */
export class OpenStreams {
  readonly #nodes = new Map<OpenStream, UpstreamNode | undefined>();

  /** Takes one up, or says which node it goes to now. @param node `undefined` while none was chosen. */
  add(stream: OpenStream, node?: UpstreamNode): void {
    this.#nodes.set(stream, node);
  }

  delete(stream: OpenStream): void {
    this.#nodes.delete(stream);
  }

  /** Ends streams; all of them, or those to nodes that are meant. @returns how many. */
  end(ending: StreamEnding, isMeant?: (node: UpstreamNode) => boolean): number {
    const meant = Array.from(this.#nodes).filter(
      ([, node]) => isMeant === undefined || (node !== undefined && isMeant(node)),
    );
    for (const [stream] of meant) stream.shutDown(ending);
    return meant.length;
  }
}
