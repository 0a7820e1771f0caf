import type { AdminRegister } from '../admin/admin-register.ts';
import type { SignedRecords } from '../admin/signed-records.ts';
import type { AuditSink } from '../core/audit-event.ts';
import type { Clock } from '../core/clock.ts';
import { GatewayError } from '../core/gateway-error.ts';
import type { Keyring } from '../crypto/keyring.ts';
import { policySchema } from '../policy/policy-schema.ts';
import { loweredProtection, type WeighedPolicy } from '../policy/protection-table.ts';
import { type KeptPolicy, keepPolicy, readKeptPolicy } from './kept-policy.ts';

/** A set of policies that somebody wants to put into force. */
export interface CandidatePolicy extends WeighedPolicy {
  readonly contentHash: string;
}

/** A set that waits for both administrators. */
export interface HeldPolicy {
  readonly policy: string;
  /** What it lowers, in words. */
  readonly changes: readonly string[];
}

/** What the guard stands on. */
export interface PolicyGuardParts {
  readonly signed: SignedRecords;
  readonly register: AdminRegister;
  readonly keyring: Keyring;
  readonly data: string;
  readonly clock: Clock;
  readonly audit: AuditSink;
}

/** What the records say of a set that is held; nothing when none is. */
type HeldRecord = HeldPolicy | Record<string, never>;

/** A set that both have approved. */
interface ApprovedPolicy {
  readonly policy: string;
  readonly at_ms: number;
}

const APPROVED = 50;
/** How long an approval waits for the nodes to take the set. What is in force needs none any more. */
const APPROVAL_MS = 24 * 3_600_000;

/** What the log says. */
export const HELD =
  'policies that lower a protection are held; the old ones stay in force until both administrators approve';

/** What a reload answers that was held. */
export function heldLines({ policy, changes }: HeldPolicy): string[] {
  return [
    `held until both administrators approve it (zasov admins propose lower_protection): sha256:${policy}`,
    ...changes,
  ];
}

/**
 * Holds a set of policies back that lowers a protection, until both administrators have approved that very set. The
 * set before stays in force meanwhile, also across restarts: what was in force is kept sealed in the data directory,
 * and in the records for a node that has lost its own. While nobody is enrolled nothing is held.
 */
export class PolicyGuard {
  readonly #parts: PolicyGuardParts;
  #inForce: CandidatePolicy | undefined;
  #held: HeldPolicy | undefined;
  /** What this process last held back; `undefined` until it took the first set after its start. */
  #told: string | undefined;

  constructor(parts: PolicyGuardParts) {
    this.#parts = parts;
  }

  /** The set that this process holds back. */
  get held(): HeldPolicy | undefined {
    return this.#held;
  }

  /**
   * Judges a set before it is put into force.
   *
   * @returns why it is held; `undefined` when it may be put into force.
   * @throws GatewayError `store_unavailable`, `admin_untrusted`: then it may not.
   */
  async judge(candidate: CandidatePolicy): Promise<HeldPolicy | undefined> {
    if (!this.#isGuarding) return undefined;
    const before = this.#inForce ?? (await this.#shared());
    const changes = before === undefined ? [] : loweredProtection(before, candidate);
    if (changes.length === 0 || (await this.isApproved(candidate.contentHash))) {
      this.#held = undefined;
      return undefined;
    }
    this.#held = { policy: candidate.contentHash, changes };
    await this.#tell(this.#held);
    return this.#held;
  }

  /**
   * Takes the set that a node starts with: the one before on this node, whatever the files say now.
   *
   * @param isAsWritten takes it without a comparison.
   * @throws GatewayError `internal` when a node that has kept nothing comes with less protection than the others have.
   */
  async start(first: CandidatePolicy, isAsWritten = false): Promise<void> {
    if (isAsWritten) return this.accept(first);
    const kept = await readKeptPolicy(this.#parts.data, this.#parts.keyring);
    const held = kept?.contentHash === first.contentHash ? undefined : await this.judge(first);
    if (held === undefined) return this.accept(first);
    const says = [
      'the policies lower a protection, and this node has kept none of its own that it could serve by.',
      'Both administrators must approve them, through a gateway that runs (zasov admins propose lower_protection),',
      'or the protection must be put back:',
      ...held.changes.map((each) => `  ${each}`),
    ];
    throw new GatewayError('internal', says.join('\n'));
  }

  /**
   * Keeps a set that is about to be in force, before it is.
   *
   * @throws the system's error when it cannot be kept on this node; a store that is away is no reason to wait.
   */
  async accept(next: CandidatePolicy): Promise<void> {
    const { raw, contentHash } = next;
    const before = this.#inForce?.contentHash;
    this.#inForce = next;
    this.#held = undefined;
    if (!this.#isGuarding) return;
    const kept = before ?? (await readKeptPolicy(this.#parts.data, this.#parts.keyring))?.contentHash;
    await keepPolicy(this.#parts.data, this.#parts.keyring, { raw, contentHash });
    await this.#put<KeptPolicy>('protection', () => ({ raw, contentHash })).catch(() => undefined);
    if (kept !== contentHash) await this.#spend(kept).catch(() => undefined);
    await this.#clear(contentHash).catch(() => undefined);
    this.#told ??= '';
  }

  /** Called when administrators may have been enrolled: from then on there is something to compare with. */
  async keepCurrent(): Promise<void> {
    if (this.#inForce !== undefined && this.#held === undefined) await this.accept(this.#inForce);
  }

  /** Whether both have approved a set, not long ago, and it was not replaced since. @throws as {@link judge}. */
  async isApproved(contentHash: string): Promise<boolean> {
    const found = await this.#parts.signed.read<ApprovedPolicy[]>('admin', 'approved-policies');
    const sinceMs = this.#parts.clock.now() - APPROVAL_MS;
    return found?.value.some(({ policy, at_ms }) => policy === contentHash && at_ms > sinceMs) === true;
  }

  /** Lets a set be put into force, on every node; called with both signatures checked. */
  async approve(contentHash: string): Promise<void> {
    const approved = { policy: contentHash, at_ms: this.#parts.clock.now() };
    await this.#put<ApprovedPolicy[]>('approved-policies', (list = []) =>
      [approved, ...list.filter(({ policy }) => policy !== contentHash)].slice(0, APPROVED),
    );
  }

  /** What some process or node holds back, from the records. @throws as {@link judge}. */
  async heldAnywhere(): Promise<HeldPolicy | undefined> {
    const value = (await this.#parts.signed.read<HeldRecord>('admin', 'held-policy'))?.value;
    return value !== undefined && 'policy' in value ? (value as HeldPolicy) : undefined;
  }

  /** Records that do not verify hold back as much as administrators do. */
  get #isGuarding(): boolean {
    const { listNumber, fault } = this.#parts.register;
    return listNumber > 0 || fault !== undefined;
  }

  /** What was last in force anywhere, for a node that has kept nothing. */
  async #shared(): Promise<CandidatePolicy | undefined> {
    const kept =
      (await readKeptPolicy(this.#parts.data, this.#parts.keyring)) ??
      (await this.#parts.signed.read<KeptPolicy>('admin', 'protection'))?.value;
    if (kept === undefined) return undefined;
    const parsed = policySchema.safeParse(kept.raw);
    // Another version of this program had other fields; its operator has brought this one.
    return parsed.success ? { ...kept, settings: parsed.data } : undefined;
  }

  async #tell(held: HeldPolicy): Promise<void> {
    this.#told = held.policy;
    const isNew = (await this.heldAnywhere())?.policy !== held.policy;
    if (!isNew) return;
    await this.#parts.audit.commit({ event: 'policy.held', facts: { ...held } });
    await this.#put<HeldRecord>('held-policy', () => held);
  }

  /** An approval is good for one time: what was replaced does not come back by it. */
  async #spend(contentHash: string | undefined): Promise<void> {
    await this.#put<ApprovedPolicy[]>('approved-policies', (list = []) =>
      list.some(({ policy }) => policy === contentHash)
        ? list.filter(({ policy }) => policy !== contentHash)
        : undefined,
    );
  }

  async #clear(contentHash: string): Promise<void> {
    const held = await this.heldAnywhere();
    if (held === undefined) return;
    // What another node holds back is that node's to say.
    const isOurs = held.policy === contentHash || held.policy === this.#told || this.#told === undefined;
    if (isOurs) await this.#put<HeldRecord>('held-policy', () => ({}));
  }

  /** @param change returns `undefined` when there is nothing to write. */
  async #put<T extends object>(id: string, change: (before: T | undefined) => T | undefined): Promise<void> {
    for (;;) {
      const found = await this.#parts.signed.read<T>('admin', id);
      const value = change(found?.value);
      if (value === undefined) return;
      if (await this.#parts.signed.write('admin', id, (found?.version ?? 0) + 1, value)) return;
    }
  }
}
