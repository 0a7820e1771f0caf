/**
 * What a region is fit for, whatever its nodes say: `open`; `avoided` (on battery: others are preferred); `draining`
 * (nothing new but what the session began there; streams are asked to move); `sealed` (nothing at all, until both
 * administrators open it).
 */
export type RegionCondition = 'open' | 'avoided' | 'draining' | 'sealed';

/** The conditions in force on this process. Reading them costs a look into a table. */
export interface RegionConditions {
  of(region: string): RegionCondition;
  /** @returns a function that takes the listener off. */
  onChange(listener: (region: string, condition: RegionCondition) => void): () => void;
}
