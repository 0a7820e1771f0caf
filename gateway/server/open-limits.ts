import { createKnownClients } from '../pipeline/known-client.ts';
import { createLimitReport } from '../pipeline/limit-report.ts';
import type { PipelineServices } from '../pipeline/services.ts';
import type { Keyring } from '../crypto/keyring.ts';
import { shareLimits } from '../rate-limit/limit-store.ts';
import { shareCounts } from '../rate-limit/shared-counts.ts';
import { LimitTable } from '../rate-limit/limit-table.ts';
import type { OpenedStore } from '../store/open-store.ts';
import type { Foundation } from './foundation.ts';

/**
 * Where limits are counted beyond one process.
 *
 * @param hasWorkers whether several processes of this node share the embedded store.
 */
export function shareCounting(
  opened: OpenedStore,
  keyring: Keyring,
  hasWorkers: boolean,
): Pick<Foundation, 'limits' | 'counts'> {
  return {
    limits: shareLimits(opened.connection, keyring),
    counts: shareCounts(opened, keyring, hasWorkers),
  };
}

/** Limits of one process that serves requests. */
export interface OpenLimits {
  readonly services: Pick<PipelineServices, 'limits' | 'limitReport' | 'knownClients'>;
  /** Tells the store what it has not heard yet. */
  close(): Promise<void>;
}

/** Builds the counters of limits, and what they report to. */
export function openLimits({ clock, counts, metrics, logger, audit, keyring }: Foundation): OpenLimits {
  const limits = new LimitTable(clock, counts);
  return {
    services: {
      limits,
      limitReport: createLimitReport(metrics, logger, audit),
      knownClients: createKnownClients(keyring),
    },
    close: () => limits.close(),
  };
}
