import type { NetworkList } from '../core/network.ts';

/**
 * What a key is, as people see it. `expiring` is active inside its first warning period; `held` would work, but waits
 * after a restore until the operator releases it.
 */
export type KeyState = 'active' | 'expiring' | 'held' | 'rotated' | 'expired' | 'revoked';

/** Why a key got a successor. */
export type RotationReason = 'age' | 'credential_change' | 'request';

/** What a key may do; an empty list allows all. */
export interface KeyScope {
  /** Names of routes. */
  readonly routes: readonly string[];
  readonly methods: readonly string[];
  /** Only GET, HEAD and OPTIONS. */
  readonly isReadOnly: boolean;
  /** Networks (CIDR) that it may be used from. */
  readonly networks: readonly string[];
  /** A limit of its own, as in a policy: `20/1s`. */
  readonly requests: string | undefined;
}

/** The settings that the key service needs; the policy's `api_keys` section, compiled. */
export interface KeySettings {
  readonly prefix: string;
  /** Age at which a key rotates: calendar months, or a time. */
  readonly maxAge: { readonly months: number } | { readonly ms: number };
  readonly overlapMs: number;
  /** Longest first. */
  readonly warnBeforeMs: readonly number[];
  readonly rotateOn: { readonly age: boolean; readonly credentialChange: boolean };
  /** Whether texts of another format are looked for, because keys were taken over from elsewhere. */
  readonly acceptsImported: boolean;
  /** Whether a webhook is to be told of warnings and rotations. */
  readonly hasWebhook: boolean;
}

/** Something open that must close when its key stops. */
export interface KeyStream {
  /** Called once; must not throw. */
  close(): void;
}

/** One key that works, as this process knows it. The same object serves every request with the same text. */
export interface LiveKey {
  readonly id: string;
  readonly account: string;
  readonly subject: string;
  readonly label: string;
  readonly scope: KeyScope;
  /** Compiled from the scope; `undefined` allows all. */
  readonly networks: NetworkList | undefined;
  /** The limit of its own, compiled from the scope. */
  readonly rate: { readonly name: string; readonly count: number; readonly windowMs: number } | undefined;
  readonly expiresAtMs: number;
  /** Set inside the first warning period, and in the overlap after a rotation: values of `Sunset` and `Zasov-Key-Expires`. */
  readonly warning: { readonly sunset: string; readonly expires: string } | undefined;
  /** The CRM's own credential of this person, which takes the key's place; a secret. */
  readonly upstreamCredential: string | undefined;
  /** Set the moment the key stops, on any node. */
  readonly stopped: boolean;
  /** A slot in which the pipeline keeps derived headers, so that they are built once. */
  derived: unknown;
}

/** What a presented text turned out to be. */
export type KeyVerdict =
  | { readonly kind: 'live'; readonly key: LiveKey }
  | {
      readonly kind: 'refused';
      readonly code:
        | 'key_malformed'
        | 'key_unknown'
        | 'key_expired'
        | 'key_revoked'
        | 'key_rotated'
        | 'key_held';
      /** Only when the caller holds the right secret. */
      readonly id?: string | undefined;
    };

/** One row of `zasov keys list`. */
export interface KeySummary {
  readonly id: string;
  readonly account: string;
  readonly subject: string;
  readonly label: string;
  readonly state: KeyState;
  readonly created_at: string;
  readonly expires_at: string;
  readonly last_used_at: string | null;
  readonly last_used_from: string | null;
  readonly last_used_agent: string | null;
  /** Whether a successor waits to be collected by its owner. */
  readonly waiting: boolean;
}

/** A key that was made just now; the only time its text is seen. */
export interface IssuedKey {
  readonly id: string;
  readonly key: string;
  readonly expires_at: string;
}

/** What a new key starts with. */
export interface IssueRequest {
  readonly account: string;
  readonly subject: string;
  readonly label?: string | undefined;
  readonly scope?: Partial<KeyScope> | undefined;
  readonly upstreamCredential?: string | undefined;
  /** A key from elsewhere (`zasov keys import`), taken over under its own text; at least 20 characters. */
  readonly imported?: string | undefined;
}

/** Something that the owner's programs are told of; at least once, told apart by its id. */
export interface KeyNotice {
  readonly id: string;
  readonly type: 'key.expiring' | 'key.rotated' | 'key.revoked' | 'key.expired';
  readonly atMs: number;
  readonly data: Readonly<Record<string, string | number>>;
}

/** Called by the service for metrics and logs; must not throw. Facts hold no secret. */
export interface KeyObserver {
  rejected(code: string): void;
  /** A secret that was rotated or revoked is still being presented. */
  replayed(key: { id: string; account: string; subject: string; code: string }): void;
  rotated(reason: RotationReason, key: { id: string; account: string; subject: string }): void;
  warned(key: { id: string; account: string; subject: string; daysLeft: number }): void;
  storeSeconds(seconds: number): void;
}

/** Who uses a key, for the record of its last use. */
export interface KeyClient {
  readonly clientAddress: string;
  readonly userAgent: string;
}

/**
 * API keys that expire, rotate by themselves, and follow their owner's password. All methods reject with
 * `GatewayError('store_unavailable')` when the store is away; nothing is ever let through or refused for that reason.
 */
export interface KeyService {
  /** Decides what a presented text is; without a promise when this process already knows. */
  verify(text: string, client: KeyClient): KeyVerdict | Promise<KeyVerdict>;
  /** @throws GatewayError `key_malformed` for an imported text that is too short or known already. */
  issue(request: IssueRequest): Promise<IssuedKey>;
  /**
   * Makes the successor of a key; the old secret stops after `overlapMs` (0: at once).
   *
   * @returns `undefined` when no key with this id works (any more).
   */
  rotate(id: string, overlapMs: number): Promise<IssuedKey | undefined>;
  /** @returns whether it worked until now, or was on hold. */
  revoke(id: string): Promise<boolean>;
  /**
   * Takes a key off the hold that a restore put it on.
   *
   * @returns whether it was on hold and works now.
   */
  release(id: string): Promise<boolean>;
  /**
   * Takes some of all keys off hold; called until none is left.
   *
   * @returns how many work now, and how many are still to be looked at.
   */
  releaseSome(limit: number): Promise<{ released: number; left: number }>;
  /**
   * Rotates every key of a person at once, without overlap; the successors wait, sealed, for their owner. Does
   * nothing when the policy does not want it. @returns how many were rotated.
   */
  credentialsChanged(account: string, subject: string): Promise<number>;
  /** Refuses a person's keys in this process until it is taken back, while a change cannot reach the store. */
  hold(account: string, subject: string): () => void;
  list(filter: { account?: string | undefined; subject?: string | undefined }): Promise<KeySummary[]>;
  /**
   * Hands a waiting successor to its owner, once.
   *
   * @returns `undefined` when none waits under this id or it belongs to somebody else.
   */
  collect(id: string, account: string, subject: string): Promise<IssuedKey | undefined>;
  /**
   * Makes the successor of a key at the request of the integration that uses it, inside the warning period.
   *
   * @returns `undefined` outside of it.
   */
  renew(key: LiveKey): Promise<IssuedKey | undefined>;
  /** Sets the CRM's own credential of a person on all keys of theirs. @returns how many. */
  setUpstreamCredential(account: string, subject: string, credential: string): Promise<number>;
  /** Registers an open stream; it is closed when the key stops. @returns a function that takes it off. */
  attach(key: LiveKey, stream: KeyStream): () => void;
  /** How many keys there are of each state, and how many of those that work end within 30, 14, 7 and 1 days. */
  census(): Promise<{ states: Record<KeyState, number>; expiringWithinDays: ReadonlyMap<number, number> }>;
  /**
   * Does what is due: warnings, rotations by age, deliveries, forgetting. Called by a timer on every node; each
   * thing is done by exactly one of them. What was missed in a downtime is caught up by the first call.
   *
   * @param deliver tells the webhook; resolves to whether it was taken.
   */
  tick(
    deliver: ((notice: KeyNotice, successor: IssuedKey | undefined) => Promise<boolean>) | undefined,
  ): Promise<void>;
  configure(settings: KeySettings): void;
  close(): Promise<void>;
}
