import { Client, Pool } from 'undici';

import { DenseSet, type Placed } from '../core/dense-set.ts';
import { GatewayError } from '../core/gateway-error.ts';
import { type DataPosition, hasReached, type WritePosition } from './data-position.ts';
import type { NodeStatement } from './health-document.ts';
import { NodeConnector, type NodeTls } from './node-tls.ts';

/** What a node needs to know to be talked to. */
export interface NodeSettings {
  readonly region: string;
  /** Origin such as `http://127.0.0.1:9101`. */
  readonly origin: string;
  readonly upstreamTimeoutMs: number;
  readonly tls?: NodeTls | undefined;
}

/** A request that waits for a node's answer. */
export interface NodeWaiter extends Placed {
  /**
   * The node will hardly answer: it is down, or another one has taken its place (`fenced`). Whoever can go elsewhere
   * does.
   */
  nodeLost(reason: 'unhealthy' | 'fenced'): void;
}

/** Connections for ordinary requests, and how many requests may wait for one. */
const CONNECTIONS = 256;
const QUEUE = 256;
/** Event streams hold their connection for hours, so they have their own. */
const STREAM_CONNECTIONS = 2048;

/** One node of the CRM: its connections and what is known of it. */
export class UpstreamNode {
  readonly region: string;
  readonly origin: string;
  readonly host: string;
  /** How connections to it are made. */
  readonly connector: NodeConnector;
  pool: Pool;
  streamPool: Pool;
  readonly #makePool: (connections: number) => Pool;
  /** A connection of its own for health checks: a pool that is busy is no reason to call its node dead. */
  readonly probe: Client;
  /** Whether it was asked once; before that nothing is known of it. */
  checked = false;
  /** Healthy until checks prove otherwise. */
  healthy = true;
  /** Left out for a while because requests failed at it, though it passes its checks. */
  ejected = false;
  /** It asked to be given nothing new. */
  draining = false;
  /** What it said of its copy when it last answered; stands until it says otherwise. */
  statement: NodeStatement | undefined = undefined;
  /** How far away it is, in milliseconds, in steps that are worth a change; see `nearness.ts`. */
  distanceMs = 0;
  /** Checks in a row with the same result, to move over the policy's thresholds. */
  failures = 0;
  successes = 0;
  /** Requests in a row that failed at it, and how often that led to an ejection. */
  errors = 0;
  ejections = 0;
  /** `performance.now()` when the last ejection ended. */
  returnedMs = Number.NEGATIVE_INFINITY;
  /** Requests and event streams under way, those that wait for a connection included. */
  requests = 0;
  streams = 0;
  /** Requests without an answer yet. */
  readonly waiting = new DenseSet<NodeWaiter>();
  /** Asks for a check at once; set while the node is checked. */
  recheck: (() => void) | undefined = undefined;

  constructor(settings: NodeSettings) {
    this.region = settings.region;
    this.origin = settings.origin;
    const url = new URL(settings.origin);
    this.host = url.host;
    this.connector = new NodeConnector(url, settings.tls);
    const { connect } = this.connector;
    this.#makePool = (connections) => {
      const made = new Pool(settings.origin, {
        connections,
        pipelining: 1,
        allowH2: false,
        headersTimeout: settings.upstreamTimeoutMs,
        bodyTimeout: settings.upstreamTimeoutMs,
        connect,
      });
      // Errors reach the request that met them; without a listener a refused connection would end the process.
      return made.on('connectionError', () => undefined);
    };
    this.pool = this.#makePool(CONNECTIONS);
    this.streamPool = this.#makePool(STREAM_CONNECTIONS);
    this.probe = new Client(settings.origin, { allowH2: false, connect });
    this.probe.on('connectionError', () => undefined);
  }

  /** The epoch that it named last, or -1. */
  get epoch(): number {
    return this.statement?.epoch ?? -1;
  }

  /** Whether it can be given one more request without taking the gateway's memory for those of others. */
  hasRoom(isStream: boolean): boolean {
    return isStream ? this.streams < STREAM_CONNECTIONS : this.requests < CONNECTIONS + QUEUE;
  }

  /** Whether its copy holds a write, as far as it has said. */
  holds(write: WritePosition): boolean {
    const { statement } = this;
    if (statement?.position === undefined || (statement.epoch ?? -1) < write.epoch) return false;
    return hasReached(statement.position, write.position);
  }

  /** It named a position with an answer, which may be further than the last check knows. */
  sawPosition({ epoch, position }: WritePosition): void {
    const { statement } = this;
    if (statement === undefined || epoch !== this.epoch || isFurther(statement.position, position)) return;
    this.statement = { ...statement, position };
  }

  /** Tells the requests that wait for it that they wait in vain. */
  lose(reason: 'unhealthy' | 'fenced'): void {
    for (const waiter of this.waiting.items()) waiter.nodeLost(reason);
  }

  /** Breaks off, now, everything that is under way there. What comes later begins on new connections. */
  cut(): void {
    const gone = [this.pool, this.streamPool];
    this.pool = this.#makePool(CONNECTIONS);
    this.streamPool = this.#makePool(STREAM_CONNECTIONS);
    const reason = new GatewayError('upstream_failed', `region ${this.region} was sealed`);
    for (const pool of gone) void pool.destroy(reason).catch(() => undefined);
  }

  /** Closes idle connections now and busy ones when their answers are through. */
  async close(): Promise<void> {
    await Promise.all([this.pool.close(), this.streamPool.close(), this.probe.close()]);
  }
}

function isFurther(known: DataPosition | undefined, position: DataPosition): boolean {
  return known !== undefined && hasReached(known, position);
}
