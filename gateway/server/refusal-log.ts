import type { AdminRefusal } from '../admin/admin.ts';
import type { AuditSink } from '../core/audit-event.ts';
import { clientNetwork } from '../core/network.ts';
import type { GatewayMetrics } from '../observability/gateway-metrics.ts';
import type { Logger } from '../observability/logger.ts';

/** Why somebody was turned away; `handshake`: not even TLS came about; `server`: not a server of the list. */
export type RefusalReason = AdminRefusal | 'handshake' | 'server';

/** What is known of who was turned away. */
export interface RefusalFacts {
  readonly peer: string;
  readonly fingerprint?: string | undefined;
  readonly subject?: string | undefined;
  readonly server?: string | undefined;
  readonly administrator?: string | undefined;
}

interface RefusalLogParts {
  readonly audit: AuditSink;
  readonly logger: Logger;
  readonly metrics: GatewayMetrics;
}

/**
 * Counts refusals at the admin listener and writes them down; a flood of one kind from one network becomes one record a
 * minute.
 */
export class RefusalLog {
  readonly #parts: RefusalLogParts;

  constructor(parts: RefusalLogParts) {
    this.#parts = parts;
  }

  note(reason: RefusalReason, { subject, ...known }: RefusalFacts): void {
    const { audit, logger, metrics } = this.#parts;
    metrics.adminsDenied.child({ reason }).inc();
    // What a stranger wrote into a certificate is bounded before anybody keeps it.
    const facts = { reason, ...known, subject: subject?.replaceAll('\n', ', ').slice(0, 200) };
    const repeats = `${reason} ${clientNetwork(known.peer)} ${known.fingerprint ?? ''}`;
    audit.note({ event: 'admin.refused', facts, repeats });
    logger.warn('somebody was refused at the admin listener', facts);
  }
}
