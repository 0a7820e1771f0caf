import type { AuditEvent, AuditSink } from '../core/audit-event.ts';
import type { Clock } from '../core/clock.ts';
import type { AdminRegister } from './admin-register.ts';
import { ACTION_KINDS, type ActionKind } from './critical-action.ts';
import {
  type Moment,
  type Proposal,
  type ProposalRefusal,
  type ProposalSlot,
  type ProposalStep,
  stepProposal,
} from './proposal-life.ts';
import type { ProposalPayload } from './proposal.ts';
import type { SignedRecords } from './signed-records.ts';

/** What came of a step. */
export type StepOutcome = { readonly proposal: Proposal } | { readonly refused: ProposalRefusal };

/** What the records of proposals stand on. */
export interface ProposalRecordsParts {
  readonly signed: SignedRecords;
  readonly register: AdminRegister;
  readonly clock: Clock;
  readonly audit: AuditSink;
}

const EMPTY: ProposalSlot = { past: [] };

/** The proposals as they are recorded, and what this process last saw of them. */
export class ProposalRecords {
  readonly #parts: ProposalRecordsParts;
  readonly #slots = new Map<ActionKind, ProposalSlot>();

  constructor(parts: ProposalRecordsParts) {
    this.#parts = parts;
  }

  /** What was last seen: those that are open first, then latest first. */
  get known(): readonly Proposal[] {
    const slots = [...this.#slots.values()];
    const past = slots.flatMap((slot) => slot.past);
    return [
      ...slots.flatMap(({ current }) => (current === undefined ? [] : [current])),
      ...past.toSorted((one, other) => (other.ended?.at_ms ?? 0) - (one.ended?.at_ms ?? 0)),
    ];
  }

  /** The proposal of a kind that is not at its end, as last seen. */
  current(kind: ActionKind): Proposal | undefined {
    return this.#slots.get(kind)?.current;
  }

  /** Reads all of them again. @throws GatewayError `store_unavailable`, `admin_untrusted`. */
  async read(): Promise<void> {
    for (const kind of ACTION_KINDS) await this.#slot(kind);
  }

  /** Looks a proposal up in the store. @throws as {@link read}. */
  async find(id: string): Promise<{ kind: ActionKind; payload: ProposalPayload } | undefined> {
    for (const kind of ACTION_KINDS) {
      const { current, past } = (await this.#slot(kind)).slot;
      const found = [current, ...past].find((each) => each?.payload.id === id);
      if (found !== undefined) return { kind, payload: found.payload };
    }
    return undefined;
  }

  /**
   * Does one step, again and again until nobody else was quicker.
   *
   * @param event what is put on record before it takes effect; absent for the steps of carrying out.
   * @throws GatewayError `audit_unavailable`, `store_unavailable`, `admin_untrusted`: then nothing was done.
   */
  async step(kind: ActionKind, step: ProposalStep, event?: AuditEvent): Promise<StepOutcome> {
    let isOnRecord = event === undefined;
    for (;;) {
      const { version, slot } = await this.#slot(kind);
      const result = stepProposal(slot, step, this.moment());
      if ('refused' in result) {
        if (event !== undefined && isOnRecord) this.#takeBack(event, result.refused);
        return result;
      }
      if (event !== undefined && !isOnRecord) await this.#parts.audit.commit(event);
      isOnRecord = true;
      if (!(await this.#parts.signed.write('proposal', kind, version + 1, result.slot))) continue;
      this.#slots.set(kind, result.slot);
      const proposal = result.slot.current ?? result.slot.past[0];
      return proposal === undefined ? { refused: 'not_found' } : { proposal };
    }
  }

  /** What holds now. */
  moment(): Moment {
    const { register, clock } = this.#parts;
    const fingerprints = register.administrators.map(({ fingerprint }) => fingerprint);
    return { nowMs: clock.now(), list: register.listNumber, fingerprints };
  }

  /** Somebody was quicker between the record of a step and the step. */
  #takeBack(event: AuditEvent, reason: string): void {
    this.#parts.audit.note({ event: 'approval.not_done', facts: { ...event.facts, reason } });
  }

  async #slot(kind: ActionKind): Promise<{ version: number; slot: ProposalSlot }> {
    const found = await this.#parts.signed.read<ProposalSlot>('proposal', kind);
    const slot = found?.value ?? EMPTY;
    this.#slots.set(kind, slot);
    return { version: found?.version ?? 0, slot };
  }
}
