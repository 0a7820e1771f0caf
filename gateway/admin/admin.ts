import type { X509Certificate } from 'node:crypto';

/** One of the two people. */
export interface Administrator {
  readonly name: string;
  /** SHA-256 of the public key (SubjectPublicKeyInfo, DER), 64 hexadecimal digits: what the policy calls `certificate`. */
  readonly fingerprint: string;
}

/** Why somebody with a client certificate is not let in; the value of `zasov_admin_denied_total{reason}`. */
export type AdminRefusal =
  | 'no_certificate'
  | 'unknown_key'
  | 'other_authority'
  | 'expired'
  | 'revoked'
  | 'network'
  | 'not_enrolled';

/** The list of administrators in force: the recorded one, whatever the policy file says. */
export interface AdminList {
  /** The two, or nobody while none are enrolled, or while the records cannot be believed. */
  readonly administrators: readonly Administrator[];
  /** PEM of every authority whose client certificates count: each node has its own. */
  readonly authorities: readonly string[];
  /** Whose certificate this is: issued by an admin authority, in its time, not revoked, its key enrolled. */
  identify(certificate: X509Certificate | undefined): Administrator | AdminRefusal;
  /** Told when somebody is no longer an administrator or a certificate is revoked: tunnels and sessions of theirs end. */
  onChange(listener: () => void): () => void;
}

/** What both administrators must agree to. */
export interface CriticalAction {
  /** `replace_administrators`, `unseal_region`, `restore`, `lower_protection`. One proposal of a kind is open at a time. */
  readonly kind: string;
  /** What exactly is to be done; its canonical JSON is what both sign. */
  readonly parameters: Readonly<Record<string, unknown>>;
}

/** Dual control: runs an action once both administrators have signed the same payload. */
export interface Approvals {
  /**
   * Registers who carries out actions of a kind, in every process that may. One process carries out an approved action,
   * with the signatures checked; when it dies in the middle, another does it again, so doing it twice must be the same
   * as doing it once.
   *
   * @param execute receives the id of the proposal, the same every time.
   */
  onApproved(kind: string, execute: (action: CriticalAction, id: string) => Promise<void>): void;
  /** Actions that wait for the other administrator. */
  readonly pending: number;
}
