import type { SecretReference } from '../config/secret-reference.ts';
import type { Glob } from '../core/glob.ts';
import type { NetworkList } from '../core/network.ts';
import type { StoreChoice } from '../store/open-store.ts';
import type { BackupPolicy } from './compile-backup.ts';
import type { PolicyOutline } from './policy-outline.ts';
import type { AnswerRule, RequestRule, ValueSource } from './recognition.ts';
import type { RegionPolicy } from './region-policy.ts';

/** Where a listener listens; port 0 takes a free one. */
interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** Where a certificate comes from. */
export type CertificateSource =
  | { readonly kind: 'self_signed'; readonly hosts: readonly string[] }
  | {
      readonly kind: 'files';
      readonly hosts: readonly string[];
      readonly certFile: string;
      readonly keyFile: string;
    };

/** How a request's account (tenant) is found. */
export type AccountRule =
  | { readonly kind: 'single'; readonly account: string }
  | { readonly kind: 'header'; readonly header: string }
  /** `{account}.crm.localhost` taken apart: what stands before and after the account in the host name. */
  | { readonly kind: 'host'; readonly prefix: string; readonly suffix: string };

/** Which region answers for which account. */
export interface RoutingPolicy {
  readonly defaultRegion: string;
  readonly homeByAccount: ReadonlyMap<string, string>;
  readonly failover: readonly string[];
  /** Whether the nearest copy answers reads, and not the one at home. */
  readonly readsNearest: boolean;
  readonly maxLagMs: number;
  readonly writeWaitMs: number;
  readonly retryAttempts: number;
}

/** Who may use a route. */
export type RouteAccess = 'public' | 'session' | 'api_key' | 'session_or_key' | 'admin' | 'deny';

/** Whose requests are counted together. */
export type LimitedBy = 'client' | 'session' | 'subject' | 'account' | 'api_key';

/** So much in a time, counted under a name. */
interface NamedRate {
  readonly name: string;
  readonly count: number;
  readonly windowMs: number;
}

/** What a route takes and gives, and whose requests are counted. */
export interface RouteLimit {
  readonly name: string;
  /** Each of them is counted for itself. */
  readonly per: readonly LimitedBy[];
  readonly requests: NamedRate | undefined;
  /** Bytes of answers. */
  readonly bytes: NamedRate | undefined;
  /** Requests at once. */
  readonly parallel: { readonly name: string; readonly most: number } | undefined;
}

/** How many sign-ins may fail, and how long the door stays closed then. */
export interface SignInRule extends NamedRate {
  readonly per: readonly ('client' | 'subject' | 'account')[];
  readonly blockMs: number;
}

/** Security headers of a route's answers; `undefined` = as the upstream says. */
export interface SecurityHeaders {
  readonly nosniff: boolean;
  readonly referrer: string | undefined;
  readonly opener: string | undefined;
  readonly permissions: string | undefined;
  readonly contentSecurity: string | undefined;
  /** All but `nosniff`, as flat names and values: what a page gets whose upstream says nothing of them. */
  readonly pageHeaders: readonly string[];
}

/** Which other origins' scripts may read a route's answers. */
export interface CrossOriginPolicy {
  readonly origins: ReadonlySet<string>;
  /** Whether any may; then without credentials. */
  readonly isOpen: boolean;
  readonly credentials: boolean;
  /** Names of headers, joined by commas. */
  readonly headers: string;
  readonly expose: string;
  readonly maxAgeSeconds: number;
}

/** One routing rule; the first that matches decides. */
export interface Route {
  readonly name: string;
  readonly matches: RequestRule;
  readonly access: RouteAccess;
  /** Whether every request changes data, whatever its method. */
  readonly writes: boolean;
  readonly onUnauthenticated: 'login' | '401';
  readonly limit: RouteLimit | undefined;
  readonly security: SecurityHeaders;
  readonly crossOrigin: CrossOriginPolicy | undefined;
  /** The largest request body that this route takes, in bytes. */
  readonly bodyLimitBytes: number;
}

/** How an unmodified CRM's login is recognised. */
export interface BeginRule {
  readonly matches: RequestRule;
  readonly subject: ValueSource;
  readonly success: AnswerRule;
}

/** How a change of password or login is recognised. */
export interface CredentialChangeRule {
  readonly matches: RequestRule;
  readonly success: AnswerRule;
  /** Whose credentials changed: the session's own person, or one named in the request. */
  readonly subject: ValueSource | 'session';
}

/** How sessions live; see `sessions.md` for the algorithm that the numbers drive. */
export interface SessionPolicy {
  readonly rotateEveryMs: number;
  readonly graceMs: number;
  readonly idleMs: number;
  readonly lifetimeMs: number;
  readonly perSubject: number;
  readonly bind: { readonly userAgent: boolean; readonly network: boolean };
  readonly crashGrace: boolean;
  readonly loginPage: string;
  readonly anonymous: {
    readonly lifetimeMs: number;
    readonly perClient: { readonly count: number; readonly windowMs: number };
  };
  /** Whether an upstream cookie of this name stays on the server. */
  readonly isVaulted: Glob;
  /** Whether a browser cookie of this name never reaches the upstream. */
  readonly isStripped: Glob;
  /** Whether a request to this path is no sign of a person at work. */
  readonly isPassive: Glob;
  /** Whether a path takes unsafe requests that another site started (a SAML answer, say). */
  readonly allowsCrossSite: Glob;
  readonly upstreamLost: 'end' | 'keep';
  readonly begin: readonly BeginRule[];
  readonly end: readonly RequestRule[];
  readonly credentialChange: readonly CredentialChangeRule[];
}

/** An answer in which the CRM hands out its own credential of a person. */
export interface ObserveRule {
  readonly matches: RequestRule;
  readonly subject: ValueSource | 'session';
  readonly success: AnswerRule;
  /** `json` or `header` of the answer. */
  readonly credential: ValueSource;
  /** What the client finds in its place. */
  readonly clientGets: 'key' | 'nothing' | 'credential';
  /** Keys of one person that are given out so. */
  readonly keys: number;
}

/** API keys: where they stand in a request, and how they live. */
export interface ApiKeyPolicy {
  /** Nothing in any of them where the policies have no `api_keys`. */
  readonly places: {
    /** Lower-case names of headers. */
    readonly headers: ReadonlySet<string>;
    readonly queryNames: ReadonlySet<string>;
    readonly bearer: boolean;
    /** The password, or the name where the password is empty. */
    readonly basic: boolean;
  };
  /**
   * Headers that are held back until the route is known: those of keys and of the upstream's own credential. Lower
   * case, with `-` for all but letters and digits.
   */
  readonly heldHeaders: ReadonlySet<string>;
  /** Where the CRM hands out the credential that takes a key's place. */
  readonly observe: readonly ObserveRule[];
  /** How many keys that work a person may come to by making them. */
  readonly ownKeys: number;
  /** Where the CRM expects its own credential; nothing that a client sends under it gets there. */
  readonly upstreamHeader: string | undefined;
  /** What the key service works with. */
  readonly settings: {
    readonly prefix: string;
    readonly maxAge: { readonly months: number } | { readonly ms: number };
    readonly overlapMs: number;
    /** Longest first. */
    readonly warnBeforeMs: readonly number[];
    readonly rotateOn: { readonly age: boolean; readonly credentialChange: boolean };
    /** Whether keys from elsewhere may be taken over under their own text. */
    readonly acceptsImported: boolean;
    readonly hasWebhook: boolean;
  };
  readonly webhook: { readonly url: string; readonly secret: SecretReference } | undefined;
}

/** How the two administrators come in. */
export interface AdminAccessPolicy {
  /** Networks that they may come from; `undefined` means any. */
  readonly networks: NetworkList | undefined;
  readonly requiresPasskey: boolean;
  /** How long a proposal waits for the other one. */
  readonly approvalExpiresMs: number;
  /** `host:port` targets that they may CONNECT to. */
  readonly servers: readonly string[];
  /** Paths at which routes for administrators begin, as far as the policy names them without wildcards. */
  readonly pages: readonly string[];
}

/** Bounds that keep a hostile client from holding the gateway. */
interface ProtectionPolicy {
  readonly headerBytes: number;
  readonly headerTimeoutMs: number;
  readonly bodyIdleTimeoutMs: number;
  readonly upstreamTimeoutMs: number;
  readonly connections: number;
  readonly connectionsPerClient: number;
  readonly streamMaxAgeMs: number;
  readonly drainMs: number;
}

/**
 * One validated set of policies: immutable, compiled for the request path, swapped whole on reload.
 */
export interface Policy {
  readonly listen: {
    readonly public: Endpoint & { readonly proxyProtocol: boolean };
    readonly admin: Endpoint;
    readonly ops: Endpoint;
    readonly redirect?: Endpoint | undefined;
  };
  /** Processes that share the port; `auto` is one for each core. */
  readonly workers: number | 'auto';
  readonly trustedProxies: NetworkList;
  readonly store: StoreChoice;
  /** `undefined` means the file that the gateway makes for itself in its data directory. */
  readonly masterKey: SecretReference | undefined;
  readonly tls: {
    readonly profile: 'modern' | 'intermediate';
    readonly certificates: readonly CertificateSource[];
  };
  readonly accounts: AccountRule;
  readonly regions: readonly RegionPolicy[];
  readonly routing: RoutingPolicy;
  readonly routes: readonly Route[];
  /** They hold for every request that a `sessions.begin` rule recognises. */
  readonly signInRules: readonly SignInRule[];
  readonly sessions: SessionPolicy;
  readonly apiKeys: ApiKeyPolicy;
  /** The two that the policy wishes for; those in force are the recorded ones. `undefined` without `admins`. */
  readonly admins: readonly { readonly name: string; readonly fingerprint: string }[] | undefined;
  readonly adminAccess: AdminAccessPolicy;
  readonly protection: ProtectionPolicy;
  /** Where the audit trail is written; `undefined` means `audit` in the data directory. */
  readonly auditDirectory: string | undefined;
  /** `undefined` where nothing is copied. */
  readonly backup: BackupPolicy | undefined;
  /** What it looks like from outside, to say what a reload changed. */
  readonly outline: PolicyOutline;
  /** Value of `Strict-Transport-Security`; empty for none. */
  readonly strictTransport: string;
  readonly logLevel: 'trace' | 'debug' | 'info' | 'warn' | 'error';
}
