import type { AdminRefusal } from '../admin/admin.ts';
import type { AuditSink } from '../core/audit-event.ts';
import type { Clock } from '../core/clock.ts';
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
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: GatewayMetrics;
}

/** How long refusals of one kind from one network are only counted after one was written down. */
const QUIET_MS = 60_000;
const KINDS_LIMIT = 1000;

interface Kind {
  readonly sinceMs: number;
  readonly reason: RefusalReason;
  readonly network: string;
  unwritten: number;
}

/**
 * Counts refusals at the admin listener and writes them down: the first of a kind from a network at once, those that
 * follow within a minute as one number, so that a flood of them fills neither the disk nor the trail.
 */
export class RefusalLog {
  readonly #parts: RefusalLogParts;
  readonly #kinds = new Map<string, Kind>();

  constructor(parts: RefusalLogParts) {
    this.#parts = parts;
  }

  note(reason: RefusalReason, facts: RefusalFacts): void {
    const { audit, clock, logger, metrics } = this.#parts;
    metrics.adminsDenied.child({ reason }).inc();
    const network = clientNetwork(facts.peer);
    // The key tells two people of one network apart; past the limit only the kinds are told apart.
    const exact = `${reason} ${network} ${facts.fingerprint ?? ''}`;
    const name = this.#kinds.has(exact) || this.#kinds.size < KINDS_LIMIT ? exact : reason;
    const known = this.#kinds.get(name);
    if (known !== undefined) {
      known.unwritten += 1;
      return;
    }
    this.#kinds.set(name, { sinceMs: clock.now(), reason, network, unwritten: 0 });
    const told = { reason, ...facts, subject: facts.subject?.replaceAll('\n', ', ').slice(0, 200) };
    audit.note({ event: 'admin.refused', facts: told });
    logger.warn('somebody was refused at the admin listener', told);
  }

  /** Writes down what was only counted, once its minute is over. Called every second, and at the end with `true`. */
  tick(isEnd = false): void {
    const { audit, clock, logger } = this.#parts;
    const now = clock.now();
    for (const [name, { sinceMs, reason, network, unwritten }] of this.#kinds) {
      if (!isEnd && now - sinceMs < QUIET_MS) continue;
      this.#kinds.delete(name);
      if (unwritten === 0) continue;
      const facts = { reason, network, times: unwritten };
      audit.note({ event: 'admin.refused', facts });
      logger.warn('more were refused at the admin listener', facts);
    }
  }
}
