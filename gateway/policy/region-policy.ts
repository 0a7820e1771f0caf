import type { SecretReference } from '../config/secret-reference.ts';

/** How a node's health is asked for. */
interface HealthPolicy {
  readonly path: string;
  readonly everyMs: number;
  readonly timeoutMs: number;
  readonly unhealthyAfter: number;
  readonly healthyAfter: number;
}

/** One region: nodes of the CRM in one place. */
export interface RegionPolicy {
  readonly id: string;
  /** Origins without a path: `http://127.0.0.1:9101`. */
  readonly nodes: readonly string[];
  readonly role: 'primary' | 'replica' | 'auto';
  readonly health: HealthPolicy;
  /** TLS to its nodes, beyond the ordinary: files. */
  readonly tls:
    | {
        readonly caFile: string | undefined;
        readonly certFile: string | undefined;
        readonly keyFile: string | undefined;
        readonly serverName: string | undefined;
      }
    | undefined;
  /** Where the key is that signs the signals of its data centre. */
  readonly facility?: { readonly secret: SecretReference } | undefined;
  /** Those of `adminAccess.servers` that stand there. */
  readonly servers: readonly string[];
}
