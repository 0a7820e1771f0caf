import { Counter, Gauge, Histogram } from './metric-child.ts';
import type { MetricFacts } from './metric-facts.ts';
import { MetricFamily } from './metric-family.ts';
import type { MetricChild } from './metric-family.ts';

/** Value of the `Content-Type` header for {@link MetricRegistry.render}. */
export const METRICS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** How a metric is declared. */
interface MetricDeclaration<Name extends string> {
  /** In full, with prefix and unit: `zasov_request_seconds`. */
  readonly name: string;
  readonly help: string;
  readonly labels?: readonly Name[];
  /** Children beyond this many become `other`; 1000 unless told. */
  readonly childLimit?: number;
}

const CHILD_LIMIT = 1000;
const COLLECT_TIMEOUT_MS = 1000;

/**
 * The metrics of this process in the Prometheus text exposition format 0.0.4. Counting is synchronous and costs a few
 * nanoseconds on a child that was looked up before; whatever is costly happens on a scrape.
 */
export class MetricRegistry {
  readonly #families = new Map<string, { write(lines: string[]): void; facts(): MetricFacts }>();
  readonly #collectors: (() => void | Promise<void>)[] = [];
  readonly #collectFailures: Counter;

  readonly #collectTimeoutMs: number;

  /** @param collectTimeoutMs how long a scrape waits for its collectors. */
  constructor(collectTimeoutMs = COLLECT_TIMEOUT_MS) {
    this.#collectTimeoutMs = collectTimeoutMs;
    const help = 'Collectors that failed or took too long; their gauges keep the last value.';
    this.#collectFailures = this.counter({ name: 'zasov_metric_collect_failures_total', help }).child({});
  }

  /** Declares a counter. @throws when the name is malformed or taken, a mistake in the program. */
  counter<Name extends string = never>(declaration: MetricDeclaration<Name>): MetricFamily<Name, Counter> {
    return this.#declare('counter', declaration, () => new Counter());
  }

  /** Declares a gauge. @throws when the name is malformed or taken, a mistake in the program. */
  gauge<Name extends string = never>(declaration: MetricDeclaration<Name>): MetricFamily<Name, Gauge> {
    return this.#declare('gauge', declaration, () => new Gauge());
  }

  /** Declares a histogram. @throws when the name is malformed or taken, a mistake in the program. */
  histogram<Name extends string = never>(
    declaration: MetricDeclaration<Name> & { readonly buckets: readonly number[] },
  ): MetricFamily<Name, Histogram> {
    return this.#declare('histogram', declaration, () => new Histogram(declaration.buckets));
  }

  /** Has a function set gauges before each scrape. One that fails or hangs costs its own gauges' freshness only. */
  onCollect(collect: () => void | Promise<void>): void {
    this.#collectors.push(collect);
  }

  /** The text of a scrape; takes no longer than the time-out, whatever the collectors do. */
  async render(): Promise<string> {
    await this.#collect();
    const lines: string[] = [];
    for (const family of this.#families.values()) family.write(lines);
    return `${lines.join('\n')}\n`;
  }

  /** The same as numbers, to be put together with those of other processes. */
  async facts(): Promise<MetricFacts[]> {
    await this.#collect();
    return [...this.#families.values()].map((family) => family.facts());
  }

  async #collect(): Promise<void> {
    await Promise.all(this.#collectors.map((collect) => this.#run(collect)));
  }

  async #run(collect: () => void | Promise<void>): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    try {
      const pending = collect();
      if (pending === undefined) return;
      const late = new Promise<never>((_resolve, reject) => {
        timer = setTimeout(() => reject(new Error('a collector took too long')), this.#collectTimeoutMs);
      });
      await Promise.race([pending, late]);
    } catch {
      this.#collectFailures.inc();
    } finally {
      clearTimeout(timer);
    }
  }

  #declare<Name extends string, Child extends MetricChild>(
    type: 'counter' | 'gauge' | 'histogram',
    declaration: MetricDeclaration<Name>,
    create: () => Child,
  ): MetricFamily<Name, Child> {
    const { name, help, labels: labelNames = [], childLimit = CHILD_LIMIT } = declaration;
    if (!/^[a-z_][a-z0-9_]*$/.test(name) || this.#families.has(name)) {
      throw new TypeError(`metric name "${name}" is malformed or taken`);
    }
    const family = new MetricFamily<Name, Child>({ name, help, type, labelNames, childLimit, create });
    this.#families.set(name, family);
    return family;
  }
}
