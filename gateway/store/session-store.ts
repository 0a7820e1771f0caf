/** Why a family ended. `logout`, `revoked` and the limits are ordinary; the rest are verdicts on a thief. */
export type EndReason =
  | 'logout'
  | 'login'
  | 'revoked'
  | 'credentials'
  | 'evicted'
  | 'upstream'
  | 'idle'
  | 'lifetime'
  | 'reuse'
  | 'fork'
  | 'stubborn'
  | 'context';

/** A live member of a family's current generation: hash, first and last time it was presented (ms). */
export type Member = [hash: string, firstMs: number, lastMs: number];
/** An issued id that nobody has presented yet: hash, issue time (ms), hash of its parent. */
export type Candidate = [hash: string, issuedMs: number, parent: string];
/** A superseded id: hash, time at which it was superseded (ms). */
export type Superseded = [hash: string, supersededMs: number];

/**
 * What is known of one session family (`sessions.md` 1.3). Holds hashes only: nothing in it can be presented.
 * All times are milliseconds since the epoch on the store's own clock.
 */
export interface FamilyState {
  readonly status: 'active' | 'dead';
  readonly reason: EndReason | '';
  readonly generation: number;
  /** When the current generation was confirmed. */
  readonly confirmedMs: number;
  /** Last activity that counts against the idle limit. */
  readonly seenMs: number;
  /** When the family ends whatever happens. */
  readonly endsMs: number;
  readonly active: readonly Member[];
  readonly candidates: readonly Candidate[];
  readonly previous: readonly Superseded[];
  /** Candidates issued since one was last adopted. */
  readonly unadopted: number;
  /** Whether the one crash regress that `crash_grace` allows was used. */
  readonly regressed: boolean;
}

/** The numbers that drive the transitions, in milliseconds; see `sessions.md` 1.3. */
export interface FamilyLimits {
  readonly rotateEveryMs: number;
  readonly graceMs: number;
  readonly idleMs: number;
  readonly crashGrace: boolean;
}

/** What presenting an id meant. The first five let the request through. */
export type UseOutcome =
  | 'ok'
  | 'ok_due'
  | 'ok_confirm'
  | 'ok_sibling'
  | 'ok_inflight'
  | 'ok_regress'
  | 'dead'
  | 'expired_lifetime'
  | 'expired_idle'
  | 'reuse'
  | 'fork';

/** What asking for a successor meant: store the candidate, send nothing, or end a client that never adopts. */
export type IssueOutcome = 'set' | 'no' | 'stubborn';

/** The pure transition functions, given to a store so that it runs them inside one atomic section. */
export interface FamilyTransitions {
  use(
    state: FamilyState,
    nowMs: number,
    hash: string,
    passive: boolean,
    limits: FamilyLimits,
  ): [UseOutcome, FamilyState];
  issue(
    state: FamilyState,
    nowMs: number,
    hash: string,
    childHash: string,
    limits: FamilyLimits,
  ): [IssueOutcome, FamilyState];
  end(state: FamilyState, reason: EndReason): FamilyState;
  /** Whether a live family is past one of its limits now. */
  expired(
    state: FamilyState,
    nowMs: number,
    limits: Pick<FamilyLimits, 'idleMs'>,
  ): 'lifetime' | 'idle' | undefined;
}

/** A family as stored: its state, and sealed values that the store cannot read. */
export interface StoredFamily {
  /** Hash of the family id; the family id itself is only in the cookie. */
  readonly id: string;
  readonly state: FamilyState;
  /** Keyed hash of account and subject, to find all families of a person; `undefined` while anonymous. */
  readonly person: string | undefined;
  readonly createdMs: number;
  /** Account, subject, context: sealed by the session service. Empty when the family is dead. */
  readonly profile: Uint8Array;
  /** The upstream's cookies: sealed by the session service; `undefined` when there are none. */
  readonly jar: Uint8Array | undefined;
  /** Goes up by one with every change of the jar. */
  readonly jarVersion: number;
}

/** Told of every family that ended, on whatever node. @param isElsewhere whether another process brought it about. */
export type EndListener = (id: string, reason: EndReason, isElsewhere: boolean) => void;

/** Told that another node changed a family, or with `undefined` that any may have changed. */
export type StaleListener = (id: string | undefined) => void;

/** News of what other nodes do to families, for those who keep copies of them. */
export interface StorePush {
  /** Whether news is sure to arrive within a second. While it is not, a copy must not be relied upon. */
  isAlive(): boolean;
  /** Registers a listener for changes that leave the family alive. @returns a function that takes it off. */
  onStale(listener: StaleListener): () => void;
}

/**
 * Where session families live. Each call is atomic on its family; a family that was ended never comes back to life.
 * Every method rejects with `GatewayError('store_unavailable')` when the store cannot be asked.
 */
export interface SessionStore {
  /** Absent where this process alone changes the store. */
  readonly push?: StorePush;
  /** Adds a family. Beyond `perPerson` live families of the same person the longest unused end as `evicted`. */
  create(family: StoredFamily, perPerson: number): Promise<void>;
  /**
   * Presents an id hash. When this very call ends the family, the answer still holds its profile and person.
   *
   * @param issuedMs when the id was issued, by its own genuine word (ms). A store that can lose its last seconds in
   *   a failover takes an unknown id of just these seconds for lost, not for stolen.
   * @returns `undefined` when the family is not known (never was, or is past its end).
   */
  use(
    id: string,
    hash: string,
    passive: boolean,
    limits: FamilyLimits,
    issuedMs?: number,
  ): Promise<{ outcome: UseOutcome; family: StoredFamily } | undefined>;
  /** Registers a successor of `hash`. */
  issue(
    id: string,
    hash: string,
    childHash: string,
    limits: FamilyLimits,
  ): Promise<{ outcome: IssueOutcome; state: FamilyState } | undefined>;
  /** Replaces the jar if its version is still `expectedVersion`. @returns whether it was replaced. */
  replaceJar(id: string, jar: Uint8Array, expectedVersion: number): Promise<boolean>;
  /** Ends one family. @returns whether it was alive. Durable when the promise resolves. */
  end(id: string, reason: EndReason): Promise<boolean>;
  /** Ends all families of a person but one. @returns how many were alive. Durable when the promise resolves. */
  endPerson(person: string, reason: EndReason, exceptId?: string): Promise<number>;
  /** Moves the last activity of a live family forward to a time, never back and never past now. */
  touch(id: string, seenMs: number): Promise<void>;
  /** Ends a family if it is past its idle limit or its lifetime by the store's own record. */
  expire(id: string, limits: FamilyLimits): Promise<void>;
  /** Families that are alive, newest first; of one person if given. */
  list(person?: string): Promise<StoredFamily[]>;
  /** How many signed-in families are alive. */
  count(): Promise<number>;
  /**
   * Ends families that were silent for so long, and forgets families past their lifetime: a cookie of theirs has
   * left the browser, and an id of an unknown family is never accepted.
   *
   * @returns how many were forgotten, without those that a store forgets on its own.
   */
  sweep(idleMs: number): Promise<number>;
  /** Registers a listener for ended families. @returns a function that takes it off. */
  onEnd(listener: EndListener): () => void;
  close(): Promise<void>;
}
