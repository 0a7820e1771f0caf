import { rmSync } from 'node:fs';

import type { AuditSink } from '../core/audit-event.ts';
import type { Clock } from '../core/clock.ts';
import { GatewayError } from '../core/gateway-error.ts';
import type { GatewayMetrics } from '../observability/gateway-metrics.ts';
import type { Logger } from '../observability/logger.ts';
import { reloadEvent } from '../pipeline/audit-report.ts';
import { formatMistake, type Mistake } from '../policy/mistake.ts';
import type { Policy } from '../policy/policy.ts';
import type { CertificateSnapshot } from '../tls/certificate-snapshot.ts';
import { type CertificateLoad, describeMistakes } from '../tls/certificate-store.ts';
import { copyPolicies, type PolicyCopy } from './policy-copy.ts';
import { type CandidatePolicy, HELD, type HeldPolicy, heldLines, type PolicyGuard } from './policy-guard.ts';
import type { PolicyReading, ReloadResult } from './policy-in-force.ts';

interface NodeSources {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: GatewayMetrics;
  readonly audit: Pick<AuditSink, 'note'>;
  /** The operator's file or directory. */
  readonly path: string;
  /** What the first set is read from: the operator's, or one that was kept. */
  readonly firstPath: string;
  readonly guard: Pick<PolicyGuard, 'judge' | 'accept'>;
  /** Where copies are kept. */
  readonly directory: string;
  read(path: string, original: (mistake: Mistake) => Mistake): PolicyReading;
  loadCertificates(policy: Policy): Promise<CertificateLoad>;
}

/** A set that the supervisor has read and checked. */
interface CheckedSet {
  readonly copy: PolicyCopy;
  readonly policy: Policy;
  readonly candidate: CandidatePolicy;
  readonly certificates: CertificateSnapshot;
  readonly authority: (CertificateLoad & { ok: true })['authority'];
}

/** Has the workers put a copy into force. @returns why they did not; empty when they did. */
type TellWorkers = (copyPath: string) => Promise<string[]>;

/**
 * The policies of a node with several workers. A new set is copied and checked here, certificates made and renewed
 * here; then all workers take the copy, or none does.
 */
export class NodePolicies {
  loadedAt: string;
  lastReload = 'not reloaded yet';
  readonly #sources: NodeSources;
  #inForce: CheckedSet;
  /** The copy before: a worker may be starting with it. */
  #previous: PolicyCopy | undefined;
  #copies = 1;
  #reloading: Promise<ReloadResult> | undefined;

  private constructor(sources: NodeSources, first: CheckedSet) {
    this.#sources = sources;
    this.#inForce = first;
    this.loadedAt = new Date(sources.clock.now()).toISOString();
  }

  /** Reads the first set. @throws GatewayError `internal` with its mistakes. */
  static async open(sources: NodeSources): Promise<NodePolicies> {
    rmSync(sources.directory, { recursive: true, force: true });
    const first = await check({ ...sources, path: sources.firstPath }, 1);
    if (!('mistakes' in first)) return new NodePolicies(sources, first);
    throw new GatewayError('internal', `policies refused\n${first.mistakes.join('\n')}`);
  }

  /** The set in force. */
  get inForce(): CheckedSet {
    return this.#inForce;
  }

  /** Reads the policies again; calls that come while one runs share its result. Never throws for a bad set. */
  reload(tell: TellWorkers): Promise<ReloadResult> {
    this.#reloading ??= this.#reload(tell)
      .catch((error: unknown) => {
        this.#sources.logger.error('reading the policies failed', { error });
        return this.#refuse([error instanceof Error ? error.message : String(error)]);
      })
      .finally(() => {
        this.#reloading = undefined;
      });
    return this.#reloading;
  }

  async #reload(tell: TellWorkers): Promise<ReloadResult> {
    const { clock, logger, metrics } = this.#sources;
    const next = await check(this.#sources, (this.#copies += 1));
    if ('mistakes' in next) return this.#refuse(next.mistakes);
    const { guard } = this.#sources;
    const held = await guard.judge(next.candidate);
    if (held !== undefined) {
      next.copy.remove();
      return this.#hold(held);
    }
    await guard.accept(next.candidate);
    const mistakes = await tell(next.copy.path);
    if (mistakes.length > 0) {
      next.copy.remove();
      return this.#refuse(mistakes);
    }
    if (next.policy.workers !== this.#inForce.policy.workers)
      logger.warn('the number of workers changes with a restart only');
    this.#sources.audit.note(reloadEvent(this.#inForce.policy, next.policy));
    this.#previous?.remove();
    this.#previous = this.#inForce.copy;
    this.#inForce = next;
    this.loadedAt = new Date(clock.now()).toISOString();
    this.lastReload = `reloaded at ${this.loadedAt}`;
    metrics.policyReloads.child({ result: 'ok' }).inc();
    logger.info('the new policies are in force on all workers');
    return { ok: true, mistakes: [] };
  }

  #hold(held: HeldPolicy): ReloadResult {
    const { clock, logger, metrics } = this.#sources;
    this.lastReload = `held at ${new Date(clock.now()).toISOString()}`;
    metrics.policyReloads.child({ result: 'held' }).inc();
    logger.warn(HELD, { ...held });
    return { ok: false, mistakes: heldLines(held) };
  }

  #refuse(mistakes: string[]): ReloadResult {
    const { clock, logger, metrics, audit } = this.#sources;
    audit.note({ event: 'policy.refused', facts: { mistakes: mistakes.length } });
    this.lastReload = `refused at ${new Date(clock.now()).toISOString()}`;
    metrics.policyReloads.child({ result: 'refused' }).inc();
    for (const mistake of mistakes) logger.error('policies refused; the old ones stay in force', { mistake });
    return { ok: false, mistakes };
  }
}

async function check(sources: NodeSources, number: number): Promise<CheckedSet | { mistakes: string[] }> {
  const copy = copyPolicies(sources.path, sources.directory, number);
  if ('mistakes' in copy) return { mistakes: copy.mistakes.map(formatMistake) };
  const refuse = (mistakes: string[]) => {
    copy.remove();
    return { mistakes };
  };
  const reading = sources.read(copy.path, (mistake) => copy.original(mistake));
  if ('mistakes' in reading) return refuse(reading.mistakes);
  const certificates = await sources.loadCertificates(reading.policy);
  if (!certificates.ok) return refuse([describeMistakes(certificates.mistakes)]);
  for (const setting of reading.notices)
    sources.logger.warn('a setting is not in force in this version', { setting });
  const { snapshot, authority } = certificates;
  return { copy, policy: reading.policy, candidate: reading.candidate, certificates: snapshot, authority };
}
