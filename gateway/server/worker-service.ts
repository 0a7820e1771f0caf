import type { MetricRegistry } from '../observability/metric-registry.ts';
import type { Pipeline } from '../pipeline/pipeline.ts';
import type { SessionService } from '../session/session.ts';
import type { TlsEndpoint } from '../tls/tls-endpoint.ts';
import type { ApiKeys } from './open-keys.ts';
import type { OpenTraffic } from './open-traffic.ts';
import type { PolicyInForce, PreparedPolicy } from './policy-in-force.ts';
import { type CallHandlers, type ProcessEnd, ProcessLink } from './process-link.ts';
import type { SupervisorCalls, WorkerCalls, WorkerStart } from './worker-calls.ts';
import { WorkerRelay } from './worker-relay.ts';

/** What a worker serves with. */
export interface WorkerParts {
  readonly registry: MetricRegistry;
  readonly inForce: PolicyInForce;
  readonly pipeline: Pipeline;
  readonly sessions: SessionService;
  readonly apiKeys: ApiKeys;
  readonly endpoint: TlsEndpoint;
  readonly traffic: OpenTraffic;
  /** From so many connections on a client is told of to the supervisor. */
  readonly crowdedFrom: number;
  /** The copy of the policies that the next reading takes. */
  readonly source: { path: string };
  close(): Promise<void>;
}

/** What a worker has of the supervisor while it is composed. */
export interface WorkerLink {
  readonly relay: WorkerRelay;
  /** Counts one more anonymous session for the whole node. @throws when the supervisor says nothing. */
  takeAnonymous(network: string): Promise<boolean>;
}

/** How long the supervisor may take to count, in milliseconds. */
const COUNT_MS = 1000;

/**
 * Serves as one worker of a node until the supervisor says that it is enough, or is gone: then the requests under
 * way are finished.
 *
 * @param end the channel to the supervisor.
 * @param compose builds and opens everything.
 */
export async function serveAsWorker(
  end: ProcessEnd,
  compose: (start: WorkerStart, link: WorkerLink) => Promise<WorkerParts>,
): Promise<void> {
  const worker = new WorkerService(end, compose);
  await worker.finished;
}

class WorkerService {
  readonly finished: Promise<void>;
  readonly #compose: (start: WorkerStart, link: WorkerLink) => Promise<WorkerParts>;
  readonly #link: ProcessLink<SupervisorCalls, WorkerCalls>;
  readonly #relay: WorkerRelay;
  #parts: WorkerParts | undefined;
  #prepared: PreparedPolicy | undefined;
  #isEnding = false;
  #finish: () => void = () => undefined;

  constructor(end: ProcessEnd, compose: (start: WorkerStart, link: WorkerLink) => Promise<WorkerParts>) {
    this.#compose = compose;
    this.finished = new Promise((resolve) => {
      this.#finish = resolve;
    });
    this.#link = new ProcessLink<SupervisorCalls, WorkerCalls>(end, this.#handlers());
    this.#relay = new WorkerRelay(this.#link);
    end.on('disconnect', () => void this.#end());
  }

  #handlers(): CallHandlers<WorkerCalls> {
    return {
      start: async (start) => {
        this.#relay.beat();
        this.#parts = await this.#compose(start, {
          relay: this.#relay,
          takeAnonymous: (network) => this.#link.ask('anonymous', network, COUNT_MS),
        });
        return true;
      },
      news: (news) => {
        this.#relay.tell(news);
        return true;
      },
      tickets: (secret) => {
        this.#running.endpoint.rotateTickets(Buffer.from(secret, 'base64'));
        return true;
      },
      prepare: async (path) => {
        const { source, inForce } = this.#running;
        const before = source.path;
        source.path = path;
        const next = await inForce.prepare();
        if (!('mistakes' in next)) this.#prepared = next;
        else source.path = before;
        return 'mistakes' in next ? next.mistakes : [];
      },
      commit: (isGood) => {
        const { inForce, pipeline, sessions, apiKeys, endpoint } = this.#running;
        if (isGood && this.#prepared !== undefined)
          inForce.commit(this.#prepared, { pipeline, sessions, apiKeys, endpoint });
        this.#prepared = undefined;
        return true;
      },
      report: (others) => {
        this.#relay.beat();
        const { traffic, pipeline, inForce, crowdedFrom } = this.#running;
        traffic.clients.setOthers(others);
        return {
          pid: process.pid,
          connections: traffic.connections(),
          crowded: traffic.clients.crowded(crowdedFrom),
          requestsOpen: pipeline.open,
          nodes: inForce.upstreams.view(),
        };
      },
      metrics: () => this.#running.registry.facts(),
      drain: () => {
        void this.#end();
        return true;
      },
    };
  }

  get #running(): WorkerParts {
    if (this.#parts === undefined) throw new Error('the worker has not started yet');
    return this.#parts;
  }

  async #end(): Promise<void> {
    if (this.#isEnding) return;
    this.#isEnding = true;
    const parts = this.#parts;
    if (parts !== undefined) {
      parts.traffic.stopAccepting();
      await parts.pipeline.drain(parts.inForce.policy.protection.drainMs);
      await parts.close();
    }
    this.#finish();
  }
}
