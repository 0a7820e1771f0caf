import type { AuditSink } from '../core/audit-event.ts';
import type { Clock } from '../core/clock.ts';
import type { GatewayMetrics } from '../observability/gateway-metrics.ts';
import type { Logger } from '../observability/logger.ts';
import { reloadEvent } from '../pipeline/audit-report.ts';
import { hostMatcher } from '../pipeline/host.ts';
import type { Pipeline } from '../pipeline/pipeline.ts';
import type { Snapshot } from '../pipeline/snapshot.ts';
import type { Policy } from '../policy/policy.ts';
import { createAnonymousLimit } from '../rate-limit/anonymous-limit.ts';
import type { LimitStore } from '../rate-limit/limit-store.ts';
import type { SessionService } from '../session/session.ts';
import type { CertificateLoad } from '../tls/certificate-store.ts';
import type { CertificateSnapshot } from '../tls/certificate-snapshot.ts';
import { describeMistakes } from '../tls/certificate-store.ts';
import { readNodeTls } from '../tls/read-node-tls.ts';
import type { TlsEndpoint } from '../tls/tls-endpoint.ts';
import type { FleetObserver } from '../upstream/fleet.ts';
import { HealthWatch } from '../upstream/health-watch.ts';
import { UpstreamMap } from '../upstream/upstream-map.ts';
import type { Admins } from './open-admins.ts';
import { type CandidatePolicy, HELD, type HeldPolicy, heldLines } from './policy-guard.ts';
import type { ApiKeys } from './open-keys.ts';
import { collectRegions, observeFleet } from './region-report.ts';
import type { Regions } from './open-regions.ts';

/** What came of reading the policies again. */
export interface ReloadResult {
  readonly ok: boolean;
  /** One line for each mistake; empty when the new set is in force. */
  readonly mistakes: string[];
}

/** Either a whole valid set, or every reason why there is none. */
export type PolicyReading =
  | {
      readonly policy: Policy;
      /** What the operator should know about it. */
      readonly notices: readonly string[];
      /** What its protection is weighed by. */
      readonly candidate: CandidatePolicy;
    }
  | { readonly mistakes: string[] };

/** A whole valid set with its certificates, ready to be put into force. */
export type PreparedPolicy = Exclude<PolicyReading, { mistakes: string[] }> & {
  readonly certificates: CertificateSnapshot;
  readonly nodeTls: NodeTlsByRegion;
};

type NodeTlsByRegion = ReturnType<typeof readNodeTls>;

interface Sources {
  readonly audit: Pick<AuditSink, 'note'>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: GatewayMetrics;
  readonly limits: LimitStore | undefined;
  readonly admins: Pick<Admins, 'configure' | 'guard'>;
  readonly regions: Pick<Regions, 'configure' | 'conditions'>;
  read(): PolicyReading;
  loadCertificates(policy: Policy): Promise<CertificateLoad>;
}

/** What follows a policy while it runs. */
interface Followers {
  readonly pipeline: Pipeline;
  readonly sessions: SessionService;
  readonly apiKeys: Pick<ApiKeys, 'configure'>;
  readonly endpoint: TlsEndpoint;
}

/**
 * The set of policies in force and all that is derived from it: nodes and their health checks, limits, certificates.
 * A reload validates the whole new set first and then swaps it whole; requests and streams under way keep theirs.
 */
export class PolicyInForce {
  policy: Policy;
  upstreams: UpstreamMap;
  loadedAt: string;
  lastReload = 'not reloaded yet';
  readonly #sources: Sources;
  readonly #health = new HealthWatch();
  readonly #unlisten: () => void;
  #takeAnonymous: (network: string) => Promise<boolean>;
  #reloading: Promise<ReloadResult> | undefined;

  constructor(policy: Policy, sources: Sources) {
    this.#sources = sources;
    this.policy = policy;
    const nodeTls = readNodeTls(policy.regions);
    this.upstreams = this.#map(policy, nodeTls, observeFleet(sources.metrics, sources.logger));
    this.#takeAnonymous = createAnonymousLimit(policy.sessions.anonymous.perClient, sources.limits);
    this.loadedAt = new Date(sources.clock.now()).toISOString();
    this.#unlisten = sources.regions.conditions.onChange(() => this.upstreams.fleet.changed());
    this.#watch();
  }

  /** What the pipeline works with. */
  get snapshot(): Snapshot {
    const { policy, upstreams } = this;
    // A browser that remembers HTTPS for a host that has no trusted certificate locks its owner out.
    const isTrusted = policy.tls.certificates.every(({ kind }) => kind !== 'self_signed');
    const strictTransport = isTrusted ? policy.strictTransport : '';
    const names = policy.tls.certificates.flatMap(({ hosts }) => hosts.map((host) => host.toLowerCase()));
    // Who tries the gateway out reaches it under any name and address.
    return { policy, upstreams, strictTransport, servesHost: isTrusted ? hostMatcher(names) : () => true };
  }

  /** Counts one more anonymous session of a client network by the limit in force. */
  takeAnonymous(network: string): Promise<boolean> {
    return this.#takeAnonymous(network);
  }

  /** Sets the gauges of regions and nodes; called before each scrape. */
  collectHealth(): void {
    collectRegions(this.#sources.metrics, this.policy.regions, this.upstreams);
  }

  /** Reads the policies again; calls that come while one runs share its result. Never throws for a bad set. */
  reload(followers: Followers): Promise<ReloadResult> {
    this.#reloading ??= this.#reload(followers)
      .catch((error: unknown) => {
        // A file that cannot be read, say: whatever it is, the set in force is a whole one.
        this.#sources.logger.error('reading the policies failed', { error });
        return this.#refuse([error instanceof Error ? error.message : String(error)]);
      })
      .finally(() => {
        this.#reloading = undefined;
      });
    return this.#reloading;
  }

  /** Stops the health checks and closes all connections to the upstreams. */
  async close(): Promise<void> {
    this.#unlisten();
    this.#health.stop();
    await this.upstreams.closeExcept(undefined);
  }

  /** Reads and checks the policies and changes nothing: the first half of a reload. */
  async prepare(): Promise<PreparedPolicy | { readonly mistakes: string[] }> {
    const next = this.#sources.read();
    if (!('policy' in next)) return next;
    const certificates = await this.#sources.loadCertificates(next.policy);
    if (!certificates.ok) return { mistakes: [describeMistakes(certificates.mistakes)] };
    const nodeTls = readNodeTls(next.policy.regions);
    return { ...next, certificates: certificates.snapshot, nodeTls };
  }

  async #reload(followers: Followers): Promise<ReloadResult> {
    const next = await this.prepare();
    if ('mistakes' in next) return this.#refuse(next.mistakes);
    const { guard } = this.#sources.admins;
    const held = await guard.judge(next.candidate);
    if (held !== undefined) return this.#hold(held);
    await guard.accept(next.candidate);
    const before = this.policy;
    this.commit(next, followers);
    this.#sources.audit.note(reloadEvent(before, next.policy));
    return { ok: true, mistakes: [] };
  }

  /** Puts a prepared set into force: the second half of a reload, which cannot fail. */
  commit(next: PreparedPolicy, followers: Followers): void {
    const { clock, logger, metrics } = this.#sources;
    if (JSON.stringify(next.policy.listen) !== JSON.stringify(this.policy.listen)) {
      logger.warn('listeners change with a restart only; they stay where they are');
    }
    if (next.policy.auditDirectory !== this.policy.auditDirectory)
      logger.warn('the audit trail moves with a restart only; it stays where it is');
    for (const setting of next.notices) logger.warn('a setting is not in force in this version', { setting });
    const before = this.upstreams;
    this.policy = next.policy;
    this.upstreams = this.#map(next.policy, next.nodeTls, before);
    this.#takeAnonymous = createAnonymousLimit(
      next.policy.sessions.anonymous.perClient,
      this.#sources.limits,
    );
    followers.pipeline.swap(this.snapshot);
    followers.sessions.configure(next.policy.sessions);
    followers.apiKeys.configure(next.policy);
    this.#sources.admins.configure(next.policy);
    this.#sources.regions.configure(next.policy);
    followers.endpoint.swap(next.certificates);
    logger.setLevel(next.policy.logLevel);
    this.#watch();
    // The pools of nodes that are gone close when their last answer is through.
    void before.closeExcept(this.upstreams);
    this.loadedAt = new Date(clock.now()).toISOString();
    this.lastReload = `reloaded at ${this.loadedAt}`;
    metrics.policyReloads.child({ result: 'ok' }).inc();
    logger.info('the new policies are in force');
  }

  #refuse(mistakes: string[]): ReloadResult {
    const { clock, logger, metrics, audit } = this.#sources;
    audit.note({ event: 'policy.refused', facts: { mistakes: mistakes.length } });
    this.lastReload = `refused at ${new Date(clock.now()).toISOString()}`;
    metrics.policyReloads.child({ result: 'refused' }).inc();
    for (const mistake of mistakes) logger.error('policies refused; the old ones stay in force', { mistake });
    return { ok: false, mistakes };
  }

  #map(policy: Policy, nodeTls: NodeTlsByRegion, previous: UpstreamMap | FleetObserver): UpstreamMap {
    const { routing, protection } = policy;
    const regions = policy.regions.map((region) => ({ ...region, nodeTls: nodeTls.get(region.id) }));
    const { upstreamTimeoutMs } = protection;
    return new UpstreamMap(
      { regions, routing, upstreamTimeoutMs },
      this.#sources.regions.conditions,
      previous,
    );
  }

  #hold(held: HeldPolicy): ReloadResult {
    const { clock, logger, metrics } = this.#sources;
    this.lastReload = `held at ${new Date(clock.now()).toISOString()}`;
    metrics.policyReloads.child({ result: 'held' }).inc();
    logger.warn(HELD, { ...held });
    return { ok: false, mistakes: heldLines(held) };
  }

  #watch(): void {
    const { regions } = this.policy;
    this.#health.watch(this.upstreams, (region) => regions.find(({ id }) => id === region)?.health);
  }
}
