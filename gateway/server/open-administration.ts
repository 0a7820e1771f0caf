import type { AdminServices } from '../pipeline/admin-services.ts';
import type { Pipeline } from '../pipeline/pipeline.ts';
import type { Policy } from '../policy/policy.ts';
import { createAdminApiPage } from './admin-api-page.ts';
import { AdminDoor } from './admin-door.ts';
import { createAdminService } from './admin-service.ts';
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

/**
 * Puts together what serves administrators.
 *
 * @param policy the one in force.
 */
export function openAdministration(foundation: Foundation, policy: () => Policy): Administration {
  const { audit, clock, logger, metrics, admins } = foundation;
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
    services: createAdminService(audit, [createAdminApiPage(admins)]),
    tunnels,
    openDoor: (pipeline) =>
      new AdminDoor({
        admins: admins.list,
        audit,
        logger,
        pipeline,
        refusals,
        tunnels,
        networks: () => policy().adminAccess.networks,
      }),
  };
}
