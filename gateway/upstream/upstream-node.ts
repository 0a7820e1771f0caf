import { Client, Pool } from 'undici';

/** What a node needs to know to be talked to. */
export interface NodeSettings {
  readonly region: string;
  /** Origin such as `http://127.0.0.1:9101`. */
  readonly origin: string;
  readonly upstreamTimeoutMs: number;
}

/** How long a connection attempt may take; a node that is up answers a SYN at once. */
const CONNECT_TIMEOUT_MS = 3000;
const CONNECTIONS = 256;

/** One node of the CRM: its connections and whether it answers. */
export class UpstreamNode {
  readonly region: string;
  readonly origin: string;
  readonly host: string;
  readonly pool: Pool;
  /** A connection of its own for health checks: a pool that is busy is no reason to call its node dead. */
  readonly probe: Client;
  /** Healthy until a check or a connection proves otherwise. */
  healthy = true;
  /** Checks in a row with the same result, to move over the policy's thresholds. */
  failures = 0;
  successes = 0;

  constructor(settings: NodeSettings) {
    this.region = settings.region;
    this.origin = settings.origin;
    this.host = new URL(settings.origin).host;
    this.pool = new Pool(settings.origin, {
      connections: CONNECTIONS,
      pipelining: 1,
      allowH2: false,
      headersTimeout: settings.upstreamTimeoutMs,
      bodyTimeout: settings.upstreamTimeoutMs,
      connect: { timeout: CONNECT_TIMEOUT_MS },
    });
    this.probe = new Client(settings.origin, { allowH2: false, connect: { timeout: CONNECT_TIMEOUT_MS } });
    this.probe.on('connectionError', () => undefined);
    // Errors reach the request that met them; without a listener a refused connection would end the process.
    this.pool.on('connectionError', () => undefined);
  }

  /** Closes idle connections now and busy ones when their answers are through. */
  async close(): Promise<void> {
    await Promise.all([this.pool.close(), this.probe.close()]);
  }
}
