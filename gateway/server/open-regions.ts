import { join } from 'node:path';

import type { CriticalAction } from '../admin/admin.ts';
import type { ApprovalDesk } from '../admin/approval-desk.ts';
import type { Environment } from '../config/environment.ts';
import type { AuditSink } from '../core/audit-event.ts';
import type { Clock } from '../core/clock.ts';
import type { Keyring } from '../crypto/keyring.ts';
import type { GatewayMetrics } from '../observability/gateway-metrics.ts';
import type { Logger } from '../observability/logger.ts';
import type { Policy } from '../policy/policy.ts';
import type { RecordStore } from '../store/record-store.ts';
import { SharedConditions } from '../upstream/shared-conditions.ts';
import { every } from './closers.ts';
import { FacilityDoor } from './facility-door.ts';

/** What is known of the policy's regions beside their nodes. */
export interface Regions {
  readonly conditions: SharedConditions;
  /** Takes signals on the ops and the admin listener. */
  readonly door: FacilityDoor;
  /** The regions of the policy in force. */
  readonly policy: Policy['regions'];
  /** Follows a policy. */
  configure(policy: Policy): void;
  /** Sets the gauge of conditions, before each scrape. */
  collect(): void;
  close(): void;
}

/** What they stand on. */
export interface RegionOptions {
  readonly policy: Policy;
  readonly data: string;
  readonly environment: Environment;
  readonly records: RecordStore;
  readonly keyring: Keyring;
  readonly clock: Clock;
  readonly metrics: GatewayMetrics;
  readonly logger: Logger;
  readonly audit: AuditSink;
}

/** How often news of other processes is looked for: a seal must be everywhere within a second. */
const TICK_MS = 150;
/** A failure that lasts is told of so often. */
const COMPLAIN_MS = 10_000;

/** Opens the conditions of regions and the door for signals; the store may be away. */
export async function openRegions(options: RegionOptions): Promise<Regions> {
  const { data, environment, records, keyring, clock, metrics, logger, audit } = options;
  let complainedMs = Number.NEGATIVE_INFINITY;
  const failed = (message: string, error: unknown) => {
    if (clock.now() - complainedMs < COMPLAIN_MS) return;
    complainedMs = clock.now();
    logger.error(message, { error });
  };
  const directory = join(data, 'regions');
  const conditions = await SharedConditions.open({ records, keyring, directory, clock, failed });
  conditions.onChange((region, condition) =>
    logger.warn('the condition of a region changed', {
      region,
      condition,
      causes: conditions.causes(region).join(', '),
    }),
  );
  const door = new FacilityDoor({ conditions, clock, environment, metrics, logger, audit });
  door.configure(options.policy);
  let { regions } = options.policy;
  const stop = every(
    TICK_MS,
    oneAtATime(() => conditions.tick()),
  );
  return {
    conditions,
    door,
    get policy() {
      return regions;
    },
    configure: (policy) => {
      regions = policy.regions;
      door.configure(policy);
    },
    collect: () => {
      metrics.regionCondition.reset();
      for (const { id } of regions)
        metrics.regionCondition.child({ region: id, condition: conditions.of(id) }).set(1);
    },
    close: () => {
      stop();
      conditions.close();
    },
  };
}

/** Has both administrators open a sealed region. */
export function carryOutUnseals(regions: Regions, approvals: ApprovalDesk, audit: AuditSink): void {
  const regionOf = ({ parameters }: CriticalAction) => String(parameters['region']);
  approvals.onApproved(
    'unseal_region',
    async (action, proposal) => {
      const region = regionOf(action);
      await audit.commit({ event: 'region.unsealed', facts: { region, proposal } });
      await regions.conditions.relieve(region, 'unseal');
    },
    (action) => {
      const region = regionOf(action);
      if (!regions.policy.some(({ id }) => id === region)) return `the policies name no region ${region}`;
      return regions.conditions.of(region) === 'sealed' ? undefined : `region ${region} is not sealed`;
    },
  );
}

function oneAtATime(work: () => Promise<void>): () => void {
  let isRunning = false;
  return () => {
    if (isRunning) return;
    isRunning = true;
    void work().finally(() => (isRunning = false));
  };
}
