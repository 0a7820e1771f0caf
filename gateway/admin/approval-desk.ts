import { randomBytes } from 'node:crypto';

import type { AuditEvent } from '../core/audit-event.ts';
import { GatewayError } from '../core/gateway-error.ts';
import type { RecordStore } from '../store/record-store.ts';
import type { Administrator, Approvals, CriticalAction } from './admin.ts';
import { ACTION_KINDS, type ActionKind, describeAction } from './critical-action.ts';
import { type Proposal, type ProposalRefusal, stepProposal } from './proposal-life.ts';
import { ProposalRecords, type ProposalRecordsParts, type StepOutcome } from './proposal-records.ts';
import { payloadHash, type ProposalPayload, type ProposalSignature, signerOf } from './proposal.ts';

/** Why the desk does nothing: those of a proposal's life, and what is wrong with what was sent. */
export type DeskRefusal =
  | ProposalRefusal
  | 'unknown_kind'
  | 'not_possible'
  | 'wrong_action'
  | 'bad_signature';

/** What came of a call. */
export type DeskOutcome = StepOutcome | { readonly refused: DeskRefusal; readonly says?: string };

/** Who carries out actions of a kind. */
interface Executor {
  execute(action: CriticalAction, id: string): Promise<void>;
  check(action: CriticalAction): Promise<string | undefined> | string | undefined;
}

/** What the desk stands on. */
export interface ApprovalDeskParts extends ProposalRecordsParts {
  readonly records: RecordStore;
  /** How long a proposal may wait at most, by the policy in force. */
  longestMs(): number;
  notice(level: 'info' | 'warn' | 'error', message: string, facts?: Readonly<Record<string, unknown>>): void;
}

/** How long the holder of an action is believed to be at work without a sign of life. */
const LEASE_MS = 30_000;
/** Failures that time heals: the action stays approved. */
const MAY_PASS = new Set(['store_unavailable', 'audit_unavailable']);

/**
 * Where proposals are made, approved and carried out. One record holds the proposals of a kind, and every step is one
 * compare-and-set on it: with several processes and nodes, one wins and the others see it. Nothing happens that was
 * not put on record in the audit trail before.
 */
export class ApprovalDesk implements Approvals {
  readonly #parts: ApprovalDeskParts;
  readonly #proposals: ProposalRecords;
  readonly #me = randomBytes(9).toString('base64url');
  readonly #executors = new Map<ActionKind, Executor>();
  readonly #executing = new Map<ActionKind, Promise<void>>();
  readonly #forget: () => void;
  #reading: Promise<void> | undefined;
  #isClosed = false;

  constructor(parts: ApprovalDeskParts) {
    this.#parts = parts;
    this.#proposals = new ProposalRecords(parts);
    this.#forget = parts.records.onChange((kind) => {
      if (kind === undefined || kind === 'proposal') void this.refresh().catch(() => undefined);
    });
  }

  get pending(): number {
    return this.proposals.filter(({ state }) => state === 'open').length;
  }

  /** All that is known, those that are not at their end first, then latest first. */
  get proposals(): readonly Proposal[] {
    return this.#proposals.known;
  }

  /** The kinds that somebody here carries out. */
  get kinds(): readonly ActionKind[] {
    return [...this.#executors.keys()];
  }

  /** @throws Error for a kind that has no words. */
  onApproved(kind: string, execute: Executor['execute'], check: Executor['check'] = () => undefined): void {
    const known = ACTION_KINDS.find((each) => each === kind);
    if (known === undefined) throw new Error(`no critical action is called "${kind}"`);
    this.#executors.set(known, { execute, check });
  }

  /**
   * Opens a proposal with its maker's signature.
   *
   * @throws GatewayError `audit_unavailable`, `store_unavailable`, `admin_untrusted`: then nothing was opened.
   */
  async propose(
    administrator: Administrator,
    payload: ProposalPayload,
    signature: ProposalSignature,
  ): Promise<DeskOutcome> {
    const kind = ACTION_KINDS.find((each) => each === payload.kind);
    if (kind === undefined || describeAction(payload) === undefined) return { refused: 'unknown_kind' };
    const executor = this.#executors.get(kind);
    if (executor === undefined) return { refused: 'not_possible' };
    await this.#parts.register.reload();
    if (payload.gateway !== this.#parts.register.gateway) return { refused: 'stale_list' };
    const by = this.#signed(administrator, payload, signature);
    if (by === undefined) return { refused: 'bad_signature' };
    const wrong = await executor.check(payload);
    if (wrong !== undefined) return { refused: 'wrong_action', says: wrong };
    const step = { do: 'propose', payload, by, longestMs: this.#parts.longestMs() } as const;
    return this.#proposals.step(kind, step, eventOf('approval.proposed', payload, administrator));
  }

  /** Adds the other one's signature, after which the action is carried out. @throws as {@link propose}. */
  async approve(
    administrator: Administrator,
    id: string,
    signature: ProposalSignature,
  ): Promise<DeskOutcome> {
    await this.#parts.register.reload();
    const found = await this.#proposals.find(id);
    if (found === undefined) return { refused: 'not_found' };
    const by = this.#signed(administrator, found.payload, signature);
    if (by === undefined) return { refused: 'bad_signature' };
    const event = eventOf('approval.approved', found.payload, administrator);
    const outcome = await this.#proposals.step(found.kind, { do: 'approve', id, by }, event);
    if ('proposal' in outcome) void this.#execute(found.kind);
    return outcome;
  }

  /** Ends an open proposal; either of the two may. @throws as {@link propose}. */
  async reject(administrator: Administrator, id: string): Promise<DeskOutcome> {
    await this.#parts.register.reload();
    const { fingerprints } = this.#proposals.moment();
    if (!fingerprints.includes(administrator.fingerprint)) return { refused: 'not_listed' };
    const found = await this.#proposals.find(id);
    if (found === undefined) return { refused: 'not_found' };
    const event = eventOf('approval.rejected', found.payload, administrator);
    return this.#proposals.step(found.kind, { do: 'reject', id, by: administrator.name }, event);
  }

  /** Called about once a second: sees what others did, ends what has expired, carries out what is approved. */
  async tick(): Promise<void> {
    if (!this.#parts.records.isFresh()) await this.refresh();
    for (const kind of ACTION_KINDS) await this.#tend(kind);
  }

  /** Reads the proposals again. Calls that come while one runs share it. @throws `store_unavailable`. */
  refresh(): Promise<void> {
    this.#reading ??= this.#proposals.read().finally(() => (this.#reading = undefined));
    return this.#reading;
  }

  /** Resolves when nothing is being carried out here. */
  async idle(): Promise<void> {
    while (this.#executing.size > 0) await Promise.all(this.#executing.values());
  }

  close(): void {
    this.#isClosed = true;
    this.#forget();
  }

  async #tend(kind: ActionKind): Promise<void> {
    const current = this.#proposals.current(kind);
    if (current === undefined) return;
    const swept = stepProposal({ current, past: [] }, { do: 'sweep' }, this.#proposals.moment());
    if ('slot' in swept) {
      const ended = swept.slot.past[0]?.state ?? 'expired';
      await this.#proposals.step(kind, { do: 'sweep' }, eventOf(`approval.${ended}`, current.payload));
    } else if (current.state !== 'open') await this.#execute(kind);
  }

  /** Carries an approved action out, if nobody else does. Never rejects. */
  #execute(kind: ActionKind): Promise<void> {
    const executor = this.#executors.get(kind);
    const running = this.#executing.get(kind);
    if (running !== undefined || executor === undefined || this.#isClosed)
      return running ?? Promise.resolve();
    const run = this.#claimAndCarryOut(kind, executor)
      // While the store is away the action waits; whoever holds the lease, or the next, goes on.
      .catch((error: unknown) => this.#parts.notice('warn', 'an approved action waits', { kind, error }))
      .finally(() => this.#executing.delete(kind));
    this.#executing.set(kind, run);
    return run;
  }

  async #claimAndCarryOut(kind: ActionKind, executor: Executor): Promise<void> {
    const claim = { do: 'claim', by: this.#me, leaseMs: LEASE_MS } as const;
    const claimed = await this.#proposals.step(kind, claim);
    if (!('proposal' in claimed)) return;
    const renewal = setInterval(() => {
      // Whoever is closing down leaves the rest to the others.
      if (!this.#isClosed) void this.#proposals.step(kind, claim).catch(() => undefined);
    }, LEASE_MS / 3).unref();
    let reason: string | undefined;
    try {
      reason = await this.#carryOut(executor, claimed.proposal);
    } catch (error) {
      await this.#proposals.step(kind, { do: 'release', by: this.#me });
      throw error;
    } finally {
      clearInterval(renewal);
    }
    const why = reason === undefined ? {} : { reason };
    await this.#proposals.step(kind, { do: 'finish', by: this.#me, ...why });
    const { event, facts } = eventOf(
      reason === undefined ? 'approval.done' : 'approval.failed',
      claimed.proposal.payload,
    );
    this.#parts.audit.note({ event, facts: { ...facts, ...why } });
    const [level, message] =
      reason === undefined
        ? (['info', 'an approved action was carried out'] as const)
        : (['error', 'an approved action failed'] as const);
    this.#parts.notice(level, message, { kind, id: claimed.proposal.payload.id, ...why });
  }

  /** @returns why it failed for good. @throws GatewayError for what may pass. */
  async #carryOut(executor: Executor, proposal: Proposal): Promise<string | undefined> {
    try {
      await this.#parts.register.reload();
      const doubt = this.#doubt(proposal);
      if (doubt !== undefined) return doubt;
      await this.#parts.audit.commit(eventOf('approval.executing', proposal.payload));
      await executor.execute(proposal.payload, proposal.payload.id);
      return undefined;
    } catch (error) {
      if (error instanceof GatewayError && MAY_PASS.has(error.code)) throw error;
      return error instanceof Error ? error.message : String(error);
    }
  }

  /** Checks both signatures once more, by whoever carries it out. @returns what is wrong. */
  #doubt({ payload, proposed, approved }: Proposal): string | undefined {
    const { register } = this.#parts;
    // A process died after it had put the new list in the place of the one that both signed under.
    if (payload.list + 1 === register.listNumber && idOf(register.listBy) === payload.id) return undefined;
    if (payload.list !== register.listNumber || payload.gateway !== register.gateway)
      return 'the list of administrators has changed meanwhile';
    const signers = [proposed, approved].map((each) => each && signerOf(payload, each));
    const { administrators } = register;
    const areBoth = administrators.every(({ fingerprint }) => signers.includes(fingerprint));
    return areBoth && administrators.length === 2 ? undefined : 'the signatures are not those of both';
  }

  #signed({ name, fingerprint }: Administrator, payload: ProposalPayload, given: ProposalSignature) {
    if (signerOf(payload, given) !== fingerprint) return undefined;
    const { public_key, signature } = given;
    return { public_key, signature, fingerprint, name, at_ms: this.#parts.clock.now() };
  }
}

function idOf(by: unknown): unknown {
  return typeof by === 'object' && by !== null && 'id' in by ? by.id : undefined;
}

function eventOf(event: string, payload: ProposalPayload, by?: Administrator): AuditEvent {
  const words = describeAction(payload) ?? [];
  const who = by === undefined ? {} : { administrator: by.name, key: by.fingerprint };
  return { event, facts: { ...who, id: payload.id, kind: payload.kind, hash: payloadHash(payload), words } };
}
