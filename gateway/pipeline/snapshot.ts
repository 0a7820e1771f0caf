import type { Policy } from '../policy/policy.ts';
import type { UpstreamMap } from '../upstream/upstream-map.ts';

/** What one set of policies means for requests: immutable, swapped whole; a request keeps the one it began with. */
export interface Snapshot {
  readonly policy: Policy;
  readonly upstreams: UpstreamMap;
  /** Value of `Strict-Transport-Security`, or empty where certificates are self-signed. */
  readonly strictTransport: string;
  /** Whether requests to this host name are meant for us. */
  servesHost(host: string): boolean;
}
