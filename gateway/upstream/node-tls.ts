import { Agent } from 'node:https';
import { isIP } from 'node:net';
import { buildConnector } from 'undici';

/** How a node is spoken to over TLS, beyond what every public server needs. */
export interface NodeTls {
  /** The authorities that may vouch for the node (PEM), in place of the public ones. */
  readonly ca?: string | undefined;
  /** What the gateway shows the node (mutual TLS): certificate and chain, and their key, in PEM. */
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  /** The name in the node's certificate, where it is not the host of its origin. */
  readonly serverName?: string | undefined;
}

/** A node that is up answers a SYN at once, and a handshake takes little more. */
const CONNECT_TIMEOUT_MS = 3000;

/**
 * How connections to one node are made. The name that a node must prove is that of its origin or the policy's, never
 * the `Host` of the request that happens to need the connection. What is set anew holds for the next connection.
 */
export class NodeConnector {
  /** For `wss`, which goes by Node's own client; `undefined` for plain nodes. */
  upgradeAgent: Agent | undefined;
  /**
   * Given with each request to a TLS node, so that the client library does not take the `Host` for the name, and a new
   * account for a reason to make a new connection.
   */
  readonly label: string | undefined;
  readonly #hostname: string;
  #connect: buildConnector.connector;
  #serverName: string;

  constructor(origin: URL, tls: NodeTls | undefined) {
    // The URL standard keeps the brackets of an IPv6 address.
    this.#hostname = origin.hostname.replaceAll(/[[\]]/g, '');
    this.label = origin.protocol === 'https:' ? 'node' : undefined;
    [this.#connect, this.#serverName] = this.#make(tls);
  }

  /** Makes connections by other settings from now on. */
  use(tls: NodeTls | undefined): void {
    [this.#connect, this.#serverName] = this.#make(tls);
  }

  /** For the client library. */
  readonly connect: buildConnector.connector = (options, callback) => {
    this.#connect({ ...options, servername: this.#serverName }, callback);
  };

  #make(tls: NodeTls | undefined): [buildConnector.connector, string] {
    const { ca, cert, key } = tls ?? {};
    const material = { ...(ca === undefined ? {} : { ca }), ...(cert === undefined ? {} : { cert, key }) };
    const name = tls?.serverName ?? this.#hostname;
    // An address is never sent as a name (RFC 6066 section 3); it is checked against the certificate all the same.
    const servername = isIP(name) === 0 ? name : '';
    if (this.label !== undefined)
      this.upgradeAgent = new Agent({ ...material, servername, keepAlive: false });
    return [buildConnector({ ...material, allowH2: false, timeout: CONNECT_TIMEOUT_MS }), servername];
  }
}
