import type { AdminList } from '../admin/admin.ts';
import type { AdminServices } from '../pipeline/admin-services.ts';
import type { Pipeline } from '../pipeline/pipeline.ts';
import type { Policy } from '../policy/policy.ts';
import { AdminDoor } from './admin-door.ts';
import { type AdminPage, createAdminService } from './admin-service.ts';
import { AdminTunnels } from './admin-tunnels.ts';
import type { Foundation } from './foundation.ts';
import { RefusalLog } from './refusal-log.ts';

/** What serves the two administrators in one process. */
export interface Administration {
  /** For the pipeline. */
  readonly services: AdminServices;
  readonly tunnels: AdminTunnels;
  /** Opens the door of the admin listener in front of a pipeline; once. */
  openDoor(pipeline: Pick<Pipeline, 'handle' | 'upgrade'>): AdminDoor;
}

/** The list while nobody can be enrolled. */
const NOBODY: AdminList = {
  administrators: [],
  identify: (certificate) => (certificate === undefined ? 'no_certificate' : 'not_enrolled'),
  onChange: () => () => undefined,
};

/**
 * Puts together what serves administrators.
 *
 * @param policy the one in force.
 * @param pages what the gateway itself answers them.
 */
export function openAdministration(
  foundation: Pick<Foundation, 'audit' | 'clock' | 'logger' | 'metrics'> & {
    readonly admins?: { readonly list: AdminList };
  },
  policy: () => Policy,
  pages: (tunnels: AdminTunnels) => readonly AdminPage[],
): Administration {
  const { audit, clock, logger, metrics } = foundation;
  const admins = foundation.admins?.list ?? NOBODY;
  const refusals = new RefusalLog({ audit, logger, metrics });
  const tunnels = new AdminTunnels({
    audit,
    clock,
    logger,
    metrics,
    refusals,
    servers: () => policy().adminAccess.servers,
    maxAgeMs: () => policy().protection.streamMaxAgeMs,
  });
  return {
    services: createAdminService(audit, pages(tunnels)),
    tunnels,
    openDoor: (pipeline) =>
      new AdminDoor({
        admins,
        audit,
        logger,
        pipeline,
        refusals,
        tunnels,
        networks: () => policy().adminAccess.networks,
      }),
  };
}
