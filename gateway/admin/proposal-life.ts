import type { ProposalPayload, ProposalSignature } from './proposal.ts';

/** `open` waits for the other one; `approved` and `executing` are on their way; all others are for good. */
type ProposalState = 'open' | 'approved' | 'executing' | 'done' | 'failed' | 'rejected' | 'expired' | 'void';

/** Somebody's signature under a proposal. */
interface Signed extends ProposalSignature {
  readonly fingerprint: string;
  readonly name: string;
  readonly at_ms: number;
}

/** A proposal as it is recorded. */
export interface Proposal {
  readonly payload: ProposalPayload;
  readonly state: ProposalState;
  readonly proposed: Signed;
  readonly approved?: Signed;
  /** Who carries it out, and until when nobody else does. */
  readonly lease?: { readonly by: string; readonly until_ms: number };
  readonly ended?: { readonly at_ms: number; readonly by?: string; readonly reason?: string };
}

/**
 * What is recorded of a kind, in one record: changing it is one compare-and-set, so that there is one open proposal
 * whatever races.
 */
export interface ProposalSlot {
  readonly current?: Proposal;
  /** Those before, latest first; each stays at least until its payload has expired, so that no replay passes. */
  readonly past: readonly Proposal[];
}

/** Why something is not done with a proposal. */
export type ProposalRefusal =
  | 'open_already'
  | 'replayed'
  | 'expired'
  | 'wrong_expiry'
  | 'not_found'
  | 'not_open'
  | 'own_signature'
  | 'stale_list'
  | 'not_listed'
  | 'leased'
  | 'nothing_to_do';

/** What holds at the moment of a step. */
export interface Moment {
  readonly nowMs: number;
  /** The number of the list in force, and the fingerprints on it. */
  readonly list: number;
  readonly fingerprints: readonly string[];
}

/** A step on the life of the proposals of one kind. Signatures have been checked before. */
export type ProposalStep =
  | {
      readonly do: 'propose';
      readonly payload: ProposalPayload;
      readonly by: Signed;
      readonly longestMs: number;
    }
  | { readonly do: 'approve'; readonly id: string; readonly by: Signed }
  | { readonly do: 'reject'; readonly id: string; readonly by: string }
  /** Takes away what has expired, or was made under another list. */
  | { readonly do: 'sweep' }
  | { readonly do: 'claim'; readonly by: string; readonly leaseMs: number }
  | { readonly do: 'release'; readonly by: string }
  | { readonly do: 'finish'; readonly by: string; readonly reason?: string };

/** The slot after a step, or why there is none. */
export type StepResult = { readonly slot: ProposalSlot } | { readonly refused: ProposalRefusal };

const PAST = 20;
/** An approved action that nobody began for so long is not begun any more: the world has gone on. */
const BEGIN_MS = 300_000;

/**
 * The life of proposals as a pure function: open → approved → executing → done, and out of it at every point. States
 * that are an end are never left; only somebody else's signature approves; an approved action has one holder at a time.
 */
export function stepProposal(slot: ProposalSlot, step: ProposalStep, moment: Moment): StepResult {
  const swept = sweep(slot, moment);
  switch (step.do) {
    case 'propose':
      return propose(swept, step, moment);
    case 'approve':
      return approve(swept, step, moment);
    case 'reject':
      return reject(swept, step, moment);
    case 'sweep':
      return swept === slot ? { refused: 'nothing_to_do' } : { slot: swept };
    case 'claim':
      return claim(swept, step, moment);
    case 'release':
    case 'finish':
      return leave(swept, step, moment);
    default:
      return step satisfies never;
  }
}

function propose(
  slot: ProposalSlot,
  { payload, by, longestMs }: ProposalStep & { do: 'propose' },
  moment: Moment,
): StepResult {
  const isKnown = [slot.current, ...slot.past].some((each) => each?.payload.id === payload.id);
  if (isKnown) return { refused: 'replayed' };
  if (slot.current !== undefined) return { refused: 'open_already' };
  if (payload.expires_ms <= moment.nowMs) return { refused: 'expired' };
  if (payload.expires_ms > moment.nowMs + longestMs) return { refused: 'wrong_expiry' };
  const refused = listRefusal(payload, by, moment);
  if (refused !== undefined) return { refused };
  return { slot: { ...slot, current: { payload, state: 'open', proposed: by } } };
}

function approve(
  slot: ProposalSlot,
  { id, by }: ProposalStep & { do: 'approve' },
  moment: Moment,
): StepResult {
  const proposal = openProposal(slot, id);
  if (typeof proposal === 'string') return { refused: proposal };
  if (proposal.proposed.fingerprint === by.fingerprint) return { refused: 'own_signature' };
  const refused = listRefusal(proposal.payload, by, moment);
  if (refused !== undefined) return { refused };
  return { slot: { ...slot, current: { ...proposal, state: 'approved', approved: by } } };
}

function reject(slot: ProposalSlot, { id, by }: ProposalStep & { do: 'reject' }, moment: Moment): StepResult {
  const proposal = openProposal(slot, id);
  if (typeof proposal === 'string') return { refused: proposal };
  return { slot: end(slot, proposal, 'rejected', moment, { by }) };
}

function claim(
  slot: ProposalSlot,
  { by, leaseMs }: ProposalStep & { do: 'claim' },
  { nowMs }: Moment,
): StepResult {
  const { current } = slot;
  if (current?.state !== 'approved' && current?.state !== 'executing') return { refused: 'nothing_to_do' };
  const { lease } = current;
  const isHeld = current.state === 'executing' && lease !== undefined && lease.until_ms > nowMs;
  if (isHeld && lease.by !== by) return { refused: 'leased' };
  const until = { by, until_ms: nowMs + leaseMs };
  return { slot: { ...slot, current: { ...current, state: 'executing', lease: until } } };
}

function leave(
  slot: ProposalSlot,
  step: ProposalStep & { do: 'release' | 'finish' },
  moment: Moment,
): StepResult {
  const { current } = slot;
  if (current?.state !== 'executing' || current.lease?.by !== step.by) return { refused: 'leased' };
  if (step.do === 'release') {
    // It has begun, so it goes on as soon as somebody can, however late that is.
    const lease = { by: step.by, until_ms: moment.nowMs };
    return { slot: { ...slot, current: { ...current, lease } } };
  }
  const { reason } = step;
  return {
    slot:
      reason === undefined
        ? end(slot, current, 'done', moment)
        : end(slot, current, 'failed', moment, { reason }),
  };
}

function openProposal(slot: ProposalSlot, id: string): Proposal | ProposalRefusal {
  const { current } = slot;
  if (current?.payload.id === id) return current.state === 'open' ? current : 'not_open';
  const past = slot.past.find((each) => each.payload.id === id);
  if (past === undefined) return 'not_found';
  return past.state === 'expired' ? 'expired' : 'not_open';
}

function listRefusal(payload: ProposalPayload, by: Signed, moment: Moment): ProposalRefusal | undefined {
  if (payload.list !== moment.list) return 'stale_list';
  return moment.fingerprints.includes(by.fingerprint) ? undefined : 'not_listed';
}

function sweep(slot: ProposalSlot, moment: Moment): ProposalSlot {
  const { current } = slot;
  if (current === undefined) return slot;
  const { state, payload, approved } = current;
  if (state === 'open' && payload.expires_ms <= moment.nowMs) return end(slot, current, 'expired', moment);
  if (state === 'open' && payload.list !== moment.list) return end(slot, current, 'void', moment);
  const lastMs = Math.max(payload.expires_ms, (approved?.at_ms ?? 0) + BEGIN_MS);
  return state === 'approved' && lastMs <= moment.nowMs ? end(slot, current, 'expired', moment) : slot;
}

function end(
  slot: ProposalSlot,
  { lease: _lease, ...proposal }: Proposal,
  state: ProposalState,
  { nowMs }: Moment,
  how: { by?: string; reason?: string } = {},
): ProposalSlot {
  const ended: Proposal = { ...proposal, state, ended: { at_ms: nowMs, ...how } };
  const past = [ended, ...slot.past];
  return { past: past.filter(({ payload }, index) => index < PAST || payload.expires_ms > nowMs) };
}
