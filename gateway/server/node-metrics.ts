import {
  lastingMetrics,
  mergeMetrics,
  type MetricFacts,
  renderMetrics,
} from '../observability/metric-facts.ts';
import type { MetricRegistry } from '../observability/metric-registry.ts';
import type { Worker } from './worker-pool.ts';

/** A worker that does not answer a scrape in this time, in milliseconds, is shown as it last was. */
const ANSWER_MS = 2000;
/** Reloads are the supervisor's; each worker only follows. */
const NOT_A_WORKERS = 'zasov_policy_reloads_total';

/**
 * The metrics of a whole node: of the supervisor and all workers, those that are gone included, so that no counter
 * ever goes backwards. What a killed worker counted since it was last asked is lost with it.
 */
export class NodeMetrics {
  readonly #own: MetricRegistry;
  readonly #workers: () => readonly Worker[];
  readonly #last = new Map<Worker, MetricFacts[]>();
  #retired: MetricFacts[] = [];
  #asking: Promise<void> | undefined;

  constructor(own: MetricRegistry, workers: () => readonly Worker[]) {
    this.#own = own;
    this.#workers = workers;
  }

  /** The text of a scrape. */
  async render(): Promise<string> {
    const [own] = await Promise.all([this.#own.facts(), this.refresh()]);
    return renderMetrics(mergeMetrics([own, ...this.#last.values(), this.#retired]));
  }

  /** Asks all workers. Called now and then too, so that little is lost with one that is killed. */
  refresh(): Promise<void> {
    // Two at once could put an older answer over a newer one.
    this.#asking ??= Promise.all(this.#workers().map((worker) => this.#ask(worker))).then(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  /** Keeps what a worker that is gone has counted. */
  retire(worker: Worker): void {
    const last = this.#last.get(worker);
    if (last === undefined) return;
    this.#last.delete(worker);
    this.#retired = mergeMetrics([this.#retired, lastingMetrics(last)]);
  }

  async #ask(worker: Worker): Promise<void> {
    try {
      const families = await worker.link.ask('metrics', null, ANSWER_MS);
      // An answer that comes after the end of its worker was counted already, as it last was.
      if (!this.#workers().includes(worker)) return;
      this.#last.set(
        worker,
        families.filter(({ name }) => name !== NOT_A_WORKERS),
      );
    } catch {
      // It is shown as it last was.
    }
  }
}
