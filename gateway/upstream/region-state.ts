import type { RegionCondition } from './region-condition.ts';

/** What a building's equipment reports. */
const FACILITY_SIGNALS = ['intrusion', 'tamper', 'fire', 'power-failing', 'on-battery', 'clear'] as const;

/** A signal of a data centre. */
export type FacilitySignal = (typeof FACILITY_SIGNALS)[number];

/**
 * Why a region is not simply open: the signals that have not been taken back, `seal` and `drain` by an operator, and
 * `unreadable` when what the store says of the region cannot be opened.
 */
const CAUSES = {
  intrusion: 'sealed',
  tamper: 'sealed',
  seal: 'sealed',
  unreadable: 'sealed',
  fire: 'draining',
  'power-failing': 'draining',
  drain: 'draining',
  'on-battery': 'avoided',
} as const satisfies Record<string, RegionCondition>;

/** A reason from the table above. */
export type RegionCause = keyof typeof CAUSES;

/** What takes causes away: the building's `clear`, an operator's `open`, both administrators' `unseal`. */
export type RegionRelief = 'clear' | 'open' | 'unseal';

const RELIEVED: Readonly<Record<RegionRelief, readonly RegionCause[]>> = {
  // What an operator did, an operator takes back.
  clear: ['fire', 'power-failing', 'on-battery'],
  open: ['fire', 'power-failing', 'on-battery', 'drain'],
  unseal: ['intrusion', 'tamper', 'seal', 'unreadable'],
};

const BY_STRENGTH: readonly RegionCondition[] = ['sealed', 'draining', 'avoided'];

/** All causes that hold, each once. */
export type RegionCauses = readonly RegionCause[];

/** The condition that causes make: the strictest of theirs, `open` without any. */
export function conditionOf(causes: RegionCauses): RegionCondition {
  const conditions = causes.map((cause): RegionCondition => CAUSES[cause]);
  return BY_STRENGTH.find((condition) => conditions.includes(condition)) ?? 'open';
}

/** Adds a cause. @returns the same list when it holds already. */
export function withCause(causes: RegionCauses, cause: RegionCause): RegionCauses {
  return causes.includes(cause) ? causes : [...causes, cause];
}

/** Takes away what a relief may take away: nothing but `unseal` ends a seal. @returns the same list when that is nothing. */
export function relieved(causes: RegionCauses, relief: RegionRelief): RegionCauses {
  const kept = causes.filter((cause) => !RELIEVED[relief].includes(cause));
  return kept.length === causes.length ? causes : kept;
}

/** The causes among these that seal. */
export function sealingCauses(causes: RegionCauses): RegionCauses {
  return causes.filter((cause) => CAUSES[cause] === 'sealed');
}

/** Whether a text from outside is a cause. */
export function isRegionCause(text: unknown): text is RegionCause {
  return typeof text === 'string' && Object.hasOwn(CAUSES, text);
}

/** Whether a text from outside is a signal. */
export function isFacilitySignal(text: unknown): text is FacilitySignal {
  return FACILITY_SIGNALS.some((signal) => signal === text);
}
