import type { AuditSink } from '../core/audit-event.ts';
import type { RegionCondition } from '../upstream/region-condition.ts';
import type { RegionCauses } from '../upstream/region-state.ts';
import type { Regions } from './open-regions.ts';

/** One node of the CRM, as the status tells it. */
interface NodeStatus {
  readonly region: string;
  readonly url: string;
  readonly healthy: boolean;
  /** What the node says of itself, where it says anything. */
  readonly role?: string | undefined;
  readonly lag_ms?: number | null | undefined;
}

/** One region, as `zasov regions list` shows it. */
export interface RegionSummary {
  readonly id: string;
  readonly state: RegionCondition;
  /** Why it is not open. */
  readonly causes: RegionCauses;
  readonly nodes: readonly {
    readonly url: string;
    readonly healthy: boolean;
    readonly role: string;
    readonly lag_ms: number | null;
  }[];
}

/** What the control socket can do to regions. */
export interface RegionOperations {
  /** @param nodes as the status of the node tells them. */
  listRegions(nodes: readonly NodeStatus[]): RegionSummary[];
  /** @returns `undefined` for a region that the policies do not name. */
  changeRegion(id: string, action: RegionAction): Promise<RegionChange | undefined>;
}

/** What one operator may do alone; `unseal` is what nobody may. */
export type RegionAction = 'drain' | 'seal' | 'open';

/** What came of it. */
export interface RegionChange {
  readonly id: string;
  readonly state: RegionCondition;
  /** Whether all nodes have it, and not only this one until the store is back. */
  readonly recorded: boolean;
}

interface Answer {
  readonly status: number;
  readonly value: unknown;
}

/** Makes the operations. */
export function regionOperations({
  regions,
  audit,
}: {
  readonly regions: Regions;
  readonly audit: AuditSink;
}): RegionOperations {
  const { conditions } = regions;
  return {
    listRegions: (nodes) =>
      regions.policy.map(({ id, role }) => ({
        id,
        state: conditions.of(id),
        causes: conditions.causes(id),
        nodes: nodes
          .filter(({ region }) => region === id)
          .map((node) => ({
            url: node.url,
            healthy: node.healthy,
            role: node.role ?? role,
            lag_ms: node.lag_ms ?? null,
          })),
      })),
    async changeRegion(id, action) {
      if (!regions.policy.some((region) => region.id === id)) return undefined;
      if (action === 'open') {
        // Who lets traffic in again is on record before it flows; what closes a region waits for nothing.
        await audit.commit({ event: 'region.open', facts: { region: id } });
        return { id, state: await conditions.relieve(id, 'open'), recorded: true };
      }
      const outcome = await conditions.tighten(id, action);
      audit.note({ event: `region.${action}`, facts: { region: id, recorded: outcome !== 'held' } });
      return { id, state: conditions.of(id), recorded: outcome !== 'held' };
    },
  };
}

/** `POST /v1/regions/{id}/drain`, `/seal` and `/open`. */
export async function changeRegion(
  operations: RegionOperations,
  id: string,
  action: RegionAction,
): Promise<Answer> {
  const change = await operations.changeRegion(id, action);
  if (change === undefined) return unknownRegion(id);
  if (action === 'open' && change.state === 'sealed')
    return { status: 409, value: { ...change, error: `region "${id}" is sealed: ${HOW_TO_UNSEAL(id)}` } };
  return { status: change.recorded ? 200 : 202, value: change };
}

/** `POST /v1/regions/{id}/unseal`: says how it is done, since nobody can do it alone. */
export function refuseUnseal(operations: RegionOperations, id: string): Answer {
  const region = operations.listRegions([]).find((each) => each.id === id);
  if (region === undefined) return unknownRegion(id);
  if (region.state !== 'sealed')
    return { status: 409, value: { error: `region "${id}" is not sealed; it is ${region.state}` } };
  return { status: 403, value: { error: HOW_TO_UNSEAL(id), code: 'both_needed' } };
}

const HOW_TO_UNSEAL = (id: string) =>
  `opening it takes both administrators: one proposes it with "zasov admins propose unseal_region ${id}", ` +
  'the other approves. With nobody enrolled it stays sealed until both are';

function unknownRegion(id: string): Answer {
  return { status: 404, value: { error: `the policies name no region "${id.slice(0, 64)}"` } };
}
