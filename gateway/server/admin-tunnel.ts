import { connect, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';

/** How long a server may take to take a connection, in milliseconds. */
const CONNECT_MS = 10_000;
/** How long one side may take to read what the other sent before it closed, in milliseconds. */
const LINGER_MS = 5000;

/** Why a tunnel ended. */
export type TunnelEnd =
  | 'client closed'
  | 'server closed'
  | 'server failed'
  | 'revoked'
  | 'maximum age'
  | 'stopped'
  | (string & {});

/** Bytes between an administrator and a server, with back-pressure both ways. */
export class AdminTunnel {
  readonly id: string;
  readonly administrator: string;
  readonly server: string;
  readonly openedMs: number;
  /** The connection that the tunnel runs in. */
  readonly connection: Socket;
  readonly #onEnd: (reason: TunnelEnd, tunnel: AdminTunnel) => void;
  #upstream: Socket | undefined;
  #client: Duplex | undefined;
  #maxAge: NodeJS.Timeout | undefined;
  #ended: TunnelEnd | undefined;

  /** @param onEnd told once. */
  constructor(
    facts: Pick<AdminTunnel, 'id' | 'administrator' | 'server' | 'openedMs' | 'connection'>,
    onEnd: (reason: TunnelEnd, tunnel: AdminTunnel) => void,
  ) {
    this.id = facts.id;
    this.administrator = facts.administrator;
    this.server = facts.server;
    this.openedMs = facts.openedMs;
    this.connection = facts.connection;
    this.#onEnd = onEnd;
    facts.connection.once('close', () => this.end('client closed'));
  }

  /** Why it is over, `undefined` while it is not. */
  get ended(): TunnelEnd | undefined {
    return this.#ended;
  }

  /** Bytes that went to the server. */
  get bytesIn(): number {
    return this.#upstream?.bytesWritten ?? 0;
  }

  /** Bytes that came from the server. */
  get bytesOut(): number {
    return this.#upstream?.bytesRead ?? 0;
  }

  /** Connects to the server. @throws Error when it cannot be reached, or the tunnel ended meanwhile. */
  async dial(): Promise<void> {
    const colon = this.server.lastIndexOf(':');
    const host = this.server.slice(0, colon).replaceAll(/[[\]]/g, '');
    const upstream = connect({ host, port: Number(this.server.slice(colon + 1)), noDelay: true });
    this.#upstream = upstream;
    await new Promise<void>((resolve, reject) => {
      const late = setTimeout(
        () => upstream.destroy(new Error(`${this.server} did not answer within ${CONNECT_MS} ms`)),
        CONNECT_MS,
      );
      upstream.once('connect', resolve);
      upstream.once('error', reject);
      upstream.once('close', () => {
        clearTimeout(late);
        reject(new Error('the tunnel was cut'));
      });
      upstream.once('connect', () => clearTimeout(late));
    });
  }

  /** Joins the two ends. @param maxAgeMs how long the tunnel may live. */
  join(client: Duplex, maxAgeMs: number): void {
    const upstream = this.#upstream;
    if (upstream === undefined || this.#ended !== undefined) {
      client.destroy();
      return;
    }
    this.#client = client;
    this.#maxAge = setTimeout(() => this.end('maximum age'), maxAgeMs).unref();
    upstream.setKeepAlive(true, 30_000);
    client.pipe(upstream);
    upstream.pipe(client);
    client.once('error', () => this.end('client closed'));
    client.once('close', () => this.end('client closed'));
    upstream.once('error', () => this.end('server failed'));
    upstream.once('close', () => this.#serverClosed(client));
  }

  /** Ends it now, both ways. A second call does nothing. */
  end(reason: TunnelEnd): void {
    if (this.#ended !== undefined) return;
    this.#ended = reason;
    clearTimeout(this.#maxAge);
    this.#upstream?.destroy();
    this.#client?.destroy();
    this.#onEnd(reason, this);
  }

  /** The client may still be reading what the server sent last. */
  #serverClosed(client: Duplex): void {
    if (this.#ended !== undefined) return;
    const late = setTimeout(() => this.end('server closed'), LINGER_MS).unref();
    const finish = () => {
      clearTimeout(late);
      this.end('server closed');
    };
    if (client.writableFinished) finish();
    else client.once('finish', finish);
  }
}
