import { BackupLease, createLeaseBox, FLEET_RECORD } from '../backup/backup-lease.ts';
import type { AdminServices } from '../pipeline/admin-services.ts';
import type { DrawConsole } from '../pipeline/console-facts.ts';
import type { Pipeline } from '../pipeline/pipeline.ts';
import { AdminDoor } from './admin-door.ts';
import { type ConsoleSources, createAdminApiPage, createConsolePage } from './admin-pages.ts';
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
 * @param inForce policy and nodes in force.
 * @param draw draws the console.
 */
export function openAdministration(
  foundation: Foundation,
  inForce: ConsoleSources['inForce'],
  draw: DrawConsole,
): Administration {
  const policy = () => inForce.policy;
  const { audit, clock, keyring, records, logger, metrics, admins, regions } = foundation;
  const refusals = new RefusalLog({ audit, logger, metrics });
  const tunnels = new AdminTunnels({
    audit,
    clock,
    logger,
    metrics,
    refusals,
    servers: () => policy().adminAccess.servers,
    regions: () => policy().regions,
    conditions: regions.conditions,
    maxAgeMs: () => policy().protection.streamMaxAgeMs,
  });
  // Looks only: this name never takes it.
  const box = createLeaseBox(keyring);
  const lease = new BackupLease({ records, box, id: FLEET_RECORD, name: '', clock });
  return {
    services: createAdminService(audit, [
      createAdminApiPage(admins),
      createConsolePage({ ...foundation, tunnels, inForce, draw, backups: () => lease.read() }),
    ]),
    tunnels,
    openDoor: (pipeline) =>
      new AdminDoor({
        admins: admins.list,
        audit,
        logger,
        pipeline,
        refusals,
        tunnels,
        facility: regions.door,
        networks: () => policy().adminAccess.networks,
      }),
  };
}
