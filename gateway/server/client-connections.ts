import { isIP } from 'node:net';

import { clientNetwork, type NetworkList, plainAddress } from '../core/network.ts';

/** Bounds on what one client may open. */
export interface ClientBounds {
  /** Connections at once; also those that it may open in a second. */
  readonly perClient: number;
  /** Proxies in front of the gateway: their connections are those of many. */
  readonly trustedProxies: NetworkList;
}

/** Clients with their numbers of connections. */
export type ClientCounts = readonly (readonly [client: string, connections: number])[];

/** Why a connection is refused. */
export type ConnectionRefusal = 'client' | 'pace';

interface Client {
  open: number;
  /** Connections that it may open right now. */
  tokens: number;
  refilledMs: number;
}

/** Clients of whom only the pace is remembered; a sweep forgets the rest. */
const SWEEP_EVERY = 4096;

/**
 * Counts connections by client, from the first packet on: a handshake costs the gateway a millisecond of work and the
 * client nothing, so whoever has too many open, or opens them too fast, is refused before it. A client is one IPv4
 * address or one IPv6 /64, which a single household or phone holds as a whole.
 *
 * Where several processes share a port each counts what it holds itself, and hears from the supervisor what the others
 * hold, at most one beat late.
 */
export class ClientConnections {
  readonly #bounds: ClientBounds;
  readonly #now: () => number;
  readonly #clients = new Map<string, Client>();
  #others: ReadonlyMap<string, number> = new Map();
  #opened = 0;

  /** @param now a clock in milliseconds that never jumps. */
  constructor(bounds: ClientBounds, now: () => number = () => performance.now()) {
    this.#bounds = bounds;
    this.#now = now;
  }

  /** Counts a connection. @returns why it is refused; then it does not count. */
  open(address: string): ConnectionRefusal | undefined {
    if (this.#isProxy(address)) return undefined;
    const { perClient } = this.#bounds;
    const name = clientName(address);
    const client = this.#find(name);
    if (client.open + (this.#others.get(name) ?? 0) >= perClient) return 'client';
    if (client.tokens < 1) return 'pace';
    client.tokens -= 1;
    client.open += 1;
    return undefined;
  }

  /** A connection that counted is over. */
  close(address: string): void {
    const client = this.#clients.get(clientName(address));
    if (client !== undefined && client.open > 0) client.open -= 1;
  }

  /** Clients with so many connections here that those of other processes matter. */
  crowded(least: number): ClientCounts {
    const counts: [string, number][] = [];
    for (const [name, { open }] of this.#clients) if (open >= least) counts.push([name, open]);
    return counts;
  }

  /** Clients that are remembered. */
  get size(): number {
    return this.#clients.size;
  }

  /** Takes what the other processes hold. */
  setOthers(counts: ClientCounts): void {
    this.#others = new Map(counts);
  }

  #isProxy(address: string): boolean {
    const { trustedProxies } = this.#bounds;
    return trustedProxies.size > 0 && trustedProxies.includes(address);
  }

  #find(name: string): Client {
    const { perClient } = this.#bounds;
    const nowMs = this.#now();
    let client = this.#clients.get(name);
    if (client === undefined) {
      if (++this.#opened % SWEEP_EVERY === 0) this.#sweep(nowMs);
      client = { open: 0, tokens: perClient, refilledMs: nowMs };
      this.#clients.set(name, client);
    } else {
      client.tokens = this.#tokensOf(client, nowMs);
      client.refilledMs = nowMs;
    }
    return client;
  }

  #tokensOf({ tokens, refilledMs }: Client, nowMs: number): number {
    const { perClient } = this.#bounds;
    return Math.min(perClient, tokens + ((nowMs - refilledMs) / 1000) * perClient);
  }

  /** Forgets clients of whom nothing is left to know. */
  #sweep(nowMs: number): void {
    for (const [name, client] of this.#clients)
      if (client.open === 0 && this.#tokensOf(client, nowMs) >= this.#bounds.perClient)
        this.#clients.delete(name);
  }
}

function clientName(address: string): string {
  const plain = plainAddress(address);
  return isIP(plain) === 6 ? clientNetwork(plain) : plain;
}
