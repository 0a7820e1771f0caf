import type { Logger } from '../observability/logger.ts';
import type { MetricRegistry } from '../observability/metric-registry.ts';
import type { ClientCounts } from './client-connections.ts';
import type { GatewayStatus } from './control-api.ts';
import { NodeMetrics } from './node-metrics.ts';
import type { Readiness } from './ops-server.ts';
import type { WorkerReport, WorkerStart } from './worker-calls.ts';
import { type Worker, WorkerPool, type WorkerPoolSettings } from './worker-pool.ts';
import { BEAT_MS, type RelayHub } from './worker-relay.ts';

/** What a supervisor is made of. */
export interface SupervisorSettings {
  readonly count: number;
  readonly logger: Logger;
  readonly registry: MetricRegistry;
  readonly launch: WorkerPoolSettings['launch'];
  readonly hub: RelayHub;
  /** What all workers begin with, beside the policies and tickets, which change. */
  readonly start: Omit<WorkerStart, 'policies' | 'tickets' | 'share'>;
  /** Counts one more anonymous session of a client network for the whole node. */
  takeAnonymous(network: string): Promise<boolean>;
}

/** How long a worker may take to read and check a set of policies, in milliseconds. */
const PREPARE_MS = 20_000;
const TELL_MS = 2000;
/** So many questions of {@link TELL_MS} each without an answer, one after the other, mean that a worker hangs. */
const HUNG_AFTER = 4;
/** A killed worker loses what it counted since it was last asked. */
const METRICS_MS = 10_000;

/**
 * Stands between the operator and the workers that serve the traffic: keeps them running, alike and in step, and
 * speaks for all of them. It serves no traffic itself.
 */
export class Supervisor {
  readonly metrics: NodeMetrics;
  readonly #settings: SupervisorSettings;
  readonly #pool: WorkerPool;
  readonly #timers: NodeJS.Timeout[] = [];
  readonly #hearing = new Map<Worker, Promise<void>>();
  /** The copy of the policies that each worker has in force. */
  readonly #inForceOn = new WeakMap<Worker, string>();
  readonly #unanswered = new WeakMap<Worker, number>();
  #policies: string;
  #tickets: string;
  #isReady = false;

  /**
   * @param policies the copy of the policies that workers begin with.
   * @param tickets the secret behind session tickets that they begin with; see {@link rotateTickets}.
   */
  constructor(settings: SupervisorSettings, policies: string, tickets: Buffer) {
    this.#settings = settings;
    this.#policies = policies;
    this.#tickets = tickets.toString('base64');
    this.#pool = new WorkerPool({
      count: settings.count,
      logger: settings.logger,
      launch: settings.launch,
      start: () => ({
        ...settings.start,
        policies: this.#policies,
        tickets: this.#tickets,
        share: settings.count,
      }),
      started: (worker, start) => this.#catchUp(worker, start),
      calls: (worker) => ({
        news: async (news) => {
          await settings.hub.pass(news, worker());
          return true;
        },
        anonymous: (network) => settings.takeAnonymous(network),
      }),
      lost: (worker) => this.metrics.retire(worker),
    });
    this.metrics = new NodeMetrics(settings.registry, () => this.#pool.running);
    this.#observe(settings.registry);
  }

  /** Worker processes that run. */
  get workers(): readonly Worker[] {
    return this.#pool.running;
  }

  /** Starts the workers; they take connections when it resolves. @throws as {@link WorkerPool.open}. */
  async open(): Promise<void> {
    await this.#pool.open();
    await this.#hear();
    this.#isReady = true;
    this.#timers.push(
      setInterval(() => void this.#hear(), BEAT_MS),
      setInterval(() => void this.metrics.refresh(), METRICS_MS),
    );
  }

  /** Ready once all workers have listened; from then on as long as one does. */
  readiness(): Readiness {
    const { ready, wanted } = this.#pool;
    const nodes = this.#nodes();
    return {
      ready: this.#isReady && ready.length > 0,
      checks: {
        serving: this.#isReady ? true : 'starting or draining',
        workers: ready.length === wanted ? true : `${ready.length} of ${wanted} take connections`,
        regions: nodes.some(({ healthy }) => healthy) ? true : 'no node is healthy',
      },
    };
  }

  /**
   * Has all workers read a set of policies, and put it into force if every one of them can; otherwise none does.
   *
   * @param policies the supervisor's copy, checked by it before.
   * @returns mistakes that a worker found; empty when the set is in force.
   */
  async reload(policies: string): Promise<string[]> {
    const workers = this.#pool.ready;
    const answers = await Promise.all(workers.map((worker) => prepare(worker, policies)));
    const mistakes = answers.flat();
    const isGood = mistakes.length === 0;
    // Set before the workers are told: one that starts at this moment is brought up to it.
    if (isGood) this.#policies = policies;
    await this.#tellAll(workers, 'commit', isGood);
    if (!isGood) return mistakes;
    for (const worker of workers) this.#inForceOn.set(worker, policies);
    // Those that came to be ready between the question and the answer.
    await Promise.all(this.#pool.ready.map((worker) => this.#follow(worker)));
    return mistakes;
  }

  /** Gives all workers new keys for session tickets; see `TlsEndpoint.rotateTickets`. */
  async rotateTickets(secret: Buffer): Promise<void> {
    this.#tickets = secret.toString('base64');
    await this.#tellAll(this.#pool.running, 'tickets', this.#tickets);
  }

  /** What the workers add to the status of the node. */
  async status(): Promise<
    Pick<GatewayStatus, 'ready' | 'requests_open' | 'connections' | 'nodes' | 'workers'>
  > {
    await this.#hear();
    const reports = this.#reports();
    return {
      ready: this.readiness().ready,
      requests_open: reports.reduce((sum, { requestsOpen }) => sum + requestsOpen, 0),
      connections: reports.reduce((sum, { connections }) => sum + connections, 0),
      nodes: this.#nodes(),
      workers: this.#pool.ready.map(({ pid, report }) => ({
        pid,
        connections: report?.connections ?? 0,
        requests_open: report?.requestsOpen ?? 0,
      })),
    };
  }

  /** Drains all workers; resolves when none is left. */
  async stop(drainMs: number): Promise<void> {
    this.#isReady = false;
    await this.metrics.refresh();
    // The beat goes on: workers that drain still serve, and must not think that the supervisor has hung.
    await this.#pool.stop(drainMs);
    for (const timer of this.#timers) clearInterval(timer);
  }

  /** A worker that started while the policies or keys changed is brought up to what is in force now. */
  async #catchUp(worker: Worker, start: WorkerStart): Promise<void> {
    if (start.tickets !== this.#tickets) await worker.link.ask('tickets', this.#tickets, TELL_MS);
    this.#inForceOn.set(worker, start.policies);
    await this.#follow(worker);
  }

  async #follow(worker: Worker): Promise<void> {
    const policies = this.#policies;
    if (this.#inForceOn.get(worker) === policies) return;
    const mistakes = await prepare(worker, policies);
    await worker.link.ask('commit', mistakes.length === 0, TELL_MS).catch(() => mistakes.push('no answer'));
    this.#inForceOn.set(worker, policies);
    if (mistakes.length === 0) return;
    this.#settings.logger.error('a worker cannot follow the policies and is ended', {
      worker: worker.pid,
      mistake: mistakes.join('; '),
    });
    worker.kill();
  }

  /** Asks each worker how it is, which also tells it that the supervisor lives. */
  async #hear(): Promise<void> {
    await Promise.all(
      this.#pool.running.map((worker) => {
        // One question at a time: a supervisor that was stopped itself must not take its own silence for theirs.
        const hearing = this.#hearing.get(worker) ?? this.#hearOne(worker);
        this.#hearing.set(worker, hearing);
        return hearing;
      }),
    );
  }

  async #hearOne(worker: Worker): Promise<void> {
    try {
      worker.report = await worker.link.ask('report', this.#crowdBeside(worker), TELL_MS);
      this.#unanswered.delete(worker);
    } catch {
      // What it said last stands.
      const unanswered = (this.#unanswered.get(worker) ?? 0) + 1;
      this.#unanswered.set(worker, unanswered);
      if (worker.isReady && unanswered >= HUNG_AFTER) {
        this.#settings.logger.error('a worker hangs and is ended', { worker: worker.pid });
        worker.kill();
      }
    } finally {
      this.#hearing.delete(worker);
    }
  }

  async #tellAll(
    workers: readonly Worker[],
    ...told: ['commit', boolean] | ['tickets', string]
  ): Promise<void> {
    const { logger } = this.#settings;
    await Promise.all(
      workers.map(async (worker) => {
        try {
          if (told[0] === 'commit') await worker.link.ask('commit', told[1], TELL_MS);
          else await worker.link.ask('tickets', told[1], TELL_MS);
        } catch (error) {
          // One that ends now begins again with the new state; one that hangs takes the message when it goes on.
          logger.warn('a worker did not answer', { worker: worker.pid, call: told[0], error });
        }
      }),
    );
  }

  /** What clients hold at all workers but this one, as they last said. */
  #crowdBeside(worker: Worker): ClientCounts {
    const sums = new Map<string, number>();
    for (const { report } of this.#pool.ready.filter((other) => other !== worker))
      for (const [client, count] of report?.crowded ?? []) sums.set(client, (sums.get(client) ?? 0) + count);
    return [...sums];
  }

  #reports(): WorkerReport[] {
    return this.#pool.ready.flatMap(({ report }) => report ?? []);
  }

  /** A node that one worker cannot reach is not healthy: the operator should look. */
  #nodes(): GatewayStatus['nodes'] {
    const [first, ...others] = this.#reports();
    return (first?.nodes ?? []).map((node) => ({
      ...node,
      healthy: [first, ...others].every(
        (report) => report?.nodes.find(({ url }) => url === node.url)?.healthy ?? true,
      ),
    }));
  }

  #observe(registry: MetricRegistry): void {
    const running = registry
      .gauge({ name: 'zasov_workers', help: 'Worker processes that take connections.' })
      .child({});
    const restarts = registry
      .counter({ name: 'zasov_worker_restarts_total', help: 'Worker processes that ended unasked.' })
      .child({});
    registry.onCollect(() => {
      running.set(this.#pool.ready.length);
      restarts.setTotal(this.#pool.restarts);
    });
  }
}

async function prepare(worker: Worker, policies: string): Promise<string[]> {
  try {
    return await worker.link.ask('prepare', policies, PREPARE_MS);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return worker.isReady ? [`worker ${worker.pid} could not read the policies: ${reason}`] : [];
  }
}
