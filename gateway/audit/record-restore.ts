import type { AuditFacts } from '../core/audit-event.ts';
import type { Clock } from '../core/clock.ts';
import type { AuditKeys } from './audit-keys.ts';
import { RESTORED_EVENT, type RestoredChain, restoredFacts, surveyChains } from './restored-chains.ts';
import { TrailWriter } from './trail-writer.ts';

/** A trail that came back from a backup, before anything was written to it. */
export interface RestoredTrail {
  readonly directory: string;
  /** Directory of the heads, without the name of a node: this one writes under a name of its own. */
  readonly heads: string;
  /** Where the trail is moved when all is done. */
  readonly movesTo: string;
  readonly keys: AuditKeys;
  readonly clock: Clock;
  readonly version: string;
}

/**
 * Puts on record, in a new chain, that the others came back from a backup and how far they are known to have been: from
 * then on what is missing behind them is accounted for, and whatever else is missing is seen.
 *
 * @param facts which backup. @param known ends of chains that were seen after it.
 * @throws the system's error when it cannot be written.
 */
export async function recordRestore(
  { version, ...place }: RestoredTrail,
  facts: AuditFacts,
  known: readonly { readonly writer: string; readonly seq: number; readonly hash: string }[],
): Promise<RestoredChain[]> {
  const chains = await surveyChains(place.directory, known);
  const process = { pid: globalThis.process.pid, role: 'restore', version };
  const writer = new TrailWriter({ ...place, process, signed: () => undefined });
  const atMs = place.clock.now();
  const entry = (each: AuditFacts) => ({ atMs, event: RESTORED_EVENT, facts: each, person: undefined });
  await writer.append(restoredFacts(facts, chains).map(entry));
  await writer.finish();
  return chains;
}
